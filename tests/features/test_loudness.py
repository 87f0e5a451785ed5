"""What holds hardly any sound is refused, and says so."""

import numpy as np
import pytest
from sounds import RATE, encode, tone

from genre_mlflow.errors import DataError
from genre_mlflow.features.audio import decode
from genre_mlflow.features.loudness import is_audible

N = 5 * RATE
RNG = np.random.default_rng(0)
DITHER = (RNG.random(N) - RNG.random(N)) / 32768
CLICK = np.zeros(N)
CLICK[N // 2] = 1.0
SILENT, CLICKED = r"^is silent throughout \(5\.0 s\)$", r"^is silent but for 0\.05 of its 5\.0 s"


@pytest.mark.parametrize(
    ("sound", "subtype", "message"),
    [
        (DITHER, "PCM_16", SILENT), (np.full(N, 0.5), "PCM_16", SILENT),
        (1e-20 * tone(5.0), "FLOAT", SILENT), (1e-4 * tone(5.0), "FLOAT", SILENT),
        (0.5 + DITHER, "FLOAT", SILENT), (CLICK, "PCM_16", CLICKED),
        (CLICK + DITHER, "PCM_16", CLICKED),
    ],
)  # fmt: skip
def test_hardly_any_sound_is_silence(sound, subtype, message):
    with pytest.raises(DataError, match=message):
        decode(encode(sound, "WAV", subtype))


@pytest.mark.parametrize("noise", [0.0, 1e-5, 1e-3])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_channels_that_cancel_are_told(noise, subtype):
    left = tone(5.0)
    sound = np.stack([left, -left + noise * RNG.standard_normal(N)], axis=1)
    with pytest.raises(DataError, match=r"^has channels that cancel each other out"):
        decode(encode(sound, "WAV", subtype))


@pytest.mark.parametrize("kind", ["OGG", "MP3"])
def test_what_a_lossy_encoder_leaves_of_channels_that_cancel_is_no_sound(kind):
    # Attacks are where an encoder errs most.
    left = tone(5.0) * np.tile(np.linspace(1.0, 0.1, RATE // 2), 10).astype(np.float32)
    with pytest.raises(DataError, match=r"^has channels that cancel each other out"):
        decode(encode(np.stack([left, -left], axis=1), kind))


def test_a_passage_that_cancels_is_let_where_more_is_heard():
    left = tone(5.0)
    right = np.concatenate([-left[: 2 * RATE], left[2 * RATE :]])
    assert len(decode(encode(np.stack([left, right], axis=1)))) == len(left)


@pytest.mark.parametrize("right", [0.0, 1.0, -0.6, 0.5])
def test_channels_that_do_not_cancel_are_mixed(right):
    left = tone(2.0)
    mixed = decode(encode(np.stack([left, right * left], axis=1), "WAV", "FLOAT"))
    np.testing.assert_allclose(mixed, left * (1 + right) / 2, atol=1e-6)


@pytest.mark.parametrize("n_channels", [6, 8])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_one_channel_of_many_that_sounds_is_enough(n_channels, subtype):
    sound = np.zeros((2 * RATE, n_channels))
    sound[:, 2] = tone(2.0)
    assert len(decode(encode(sound, "WAV", subtype))) == 2 * RATE


def test_quiet_music_is_music():
    assert len(decode(encode(2e-3 * tone(2.0), "WAV", "FLOAT"))) == 2 * RATE
    short = np.concatenate([np.zeros(20 * RATE), tone(1.1)])
    assert len(decode(encode(short))) == len(short)


def test_a_segment_needs_a_tenth_of_it():
    silence, sound = np.zeros(2 * RATE, np.float32), tone(2.0)
    assert is_audible(sound, RATE)
    assert not is_audible(silence, RATE)
    assert is_audible(np.concatenate([silence[: RATE // 2], sound[: RATE // 4]]), RATE)
    assert not is_audible(np.concatenate([silence, sound[: RATE // 10]]), RATE)
