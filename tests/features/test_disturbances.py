import io

import numpy as np
import pytest
import soundfile
import torch
from pictures import encode as png
from PIL import Image
from sounds import RATE, encode, tone

from genre_mlflow.features.disturbances import (
    DISTURBANCES,
    GAIN,
    LOW_PASS,
    MP3,
    NOISE,
    PITCH,
    STRETCH,
    Disturbance,
    Disturber,
    disturbed,
    through_mp3,
)
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import PreprocessingSettings

SETTINGS = PreprocessingSettings(segment_s=3.0, image_size=64, image_width=64)
SOUND = tone(3.0)


def power(sound: np.ndarray) -> float:
    return float(np.mean(np.square(sound, dtype=np.float64)))


def changed(kind: str, amount: int, sound: np.ndarray = SOUND) -> np.ndarray:
    return disturbed(sound, Disturbance(kind, amount), RATE, seed=1)


def pixels(kind: str, amount: int, settings: PreprocessingSettings = SETTINGS) -> torch.Tensor:
    before = Preprocessor(SETTINGS)(encode(SOUND))
    found = Disturber(settings).of_image(before, Disturbance(kind, amount), seed=1)
    assert found is not None
    return found


def test_gain_is_in_decibels_and_clips_at_full_scale() -> None:
    assert power(changed(GAIN, -12)) == pytest.approx(power(SOUND) * 10**-1.2, rel=1e-3)
    assert abs(changed(GAIN, 12)).max() == 1


@pytest.mark.parametrize("snr_db", [30, 20, 10])
def test_noise_lies_so_many_decibels_below_the_sound(snr_db: int) -> None:
    noise = changed(NOISE, snr_db) - SOUND
    assert 10 * np.log10(power(SOUND) / power(noise)) == pytest.approx(snr_db, abs=0.1)


@pytest.mark.parametrize(("hz", "loss_db"), [(1000.0, 0), (4000.0, 40)])
def test_a_low_pass_takes_what_lies_above_it(hz: float, loss_db: float) -> None:
    wave = np.sin(2 * np.pi * hz * np.arange(2 * RATE) / RATE).astype(np.float32)
    lost = 10 * np.log10(power(wave) / power(changed(LOW_PASS, 2000, wave)))
    assert lost >= loss_db
    assert (lost < 0.1) == (loss_db == 0)


def test_a_low_pass_beyond_what_the_rate_holds_changes_nothing() -> None:
    assert np.array_equal(disturbed(SOUND, Disturbance(LOW_PASS, 8000), 16_000, 1), SOUND)


def test_an_mp3_has_the_bit_rate_that_is_asked_for_and_the_sound(monkeypatch) -> None:
    written: list[bytes] = []

    class Noted(io.BytesIO):
        def getvalue(self) -> bytes:
            written.append(super().getvalue())
            return written[-1]

    monkeypatch.setattr(io, "BytesIO", Noted)
    back = through_mp3(SOUND, RATE, 64)
    assert len(written[0]) * 8 / 3000 == pytest.approx(64, rel=0.05)
    assert soundfile.info(Noted(written[0])).format == "MP3"
    assert len(back) == len(SOUND)
    assert power(back) == pytest.approx(power(SOUND), rel=0.1)


@pytest.mark.parametrize("one", DISTURBANCES, ids=str)
def test_a_recording_keeps_its_segments_and_an_image_its_shape(one: Disturbance) -> None:
    if one.kind in (STRETCH, PITCH):  # the sound's are librosa's, and slow
        assert pixels(one.kind, one.amount).shape == (1, 1, 64, 64)
        return
    found = disturbed(SOUND, one, RATE, seed=1)
    assert found.dtype == np.float32
    assert len(found) == len(SOUND)


def test_the_gain_of_an_image_moves_its_levels() -> None:
    before = Preprocessor(SETTINGS)(encode(SOUND)).float()
    moved = pixels(GAIN, -12).float() - before
    assert moved[before > 100].mean() == pytest.approx(-12 / 80 * 255, abs=0.5)


def test_a_low_pass_of_an_image_takes_whole_bands_to_the_floor() -> None:
    found = pixels(LOW_PASS, 2000)
    before = Preprocessor(SETTINGS)(encode(SOUND))
    is_gone = (found == 0).all(dim=3)[0, 0]
    kept = int((~is_gone).nonzero()[0])  # the highest row that is left
    assert 0 < kept < 64
    assert torch.equal(found[:, :, kept:], before[:, :, kept:])


def plucked() -> np.ndarray:
    """Tones that die away after a moment of silence: as deep a picture as music's."""
    seconds = np.arange(3 * RATE) / RATE
    waves = [np.sin(2 * np.pi * hz * seconds) * np.exp(-3 * (seconds % 0.5)) for hz in (220, 660)]
    return (0.3 * sum(waves) * (seconds > 0.3)).astype(np.float32)


@pytest.mark.parametrize("snr_db", [30, 10])
def test_noise_in_an_image_is_like_noise_in_its_sound(snr_db: int) -> None:
    settings, one, sound = (
        PreprocessingSettings(segment_s=3.0),
        Disturbance(NOISE, snr_db),
        plucked(),
    )
    preprocessor = Preprocessor(settings)
    plain = preprocessor(encode(sound))
    heard = preprocessor.of_sound(disturbed(sound, one, RATE, seed=1)).float()
    seen = Disturber(settings).of_image(plain, one, seed=1)
    assert seen is not None
    # Its lowest cell, from which a picture's levels are counted, is chance in both.
    assert (seen.float() - heard).abs().mean() < 0.6 * (plain.float() - heard).abs().mean()


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, {GAIN, NOISE, LOW_PASS, STRETCH, PITCH}),
        ({"colours": "kept"}, {STRETCH, PITCH}),
        ({"features": "mfcc"}, {STRETCH}),
    ],
)
def test_an_image_has_what_can_be_done_to_it_and_never_an_mp3(changes, kinds) -> None:
    settings = PreprocessingSettings(**{**vars(SETTINGS), **changes})
    ramp = png(Image.linear_gradient("L").resize((64, 64)))
    found = Disturber(settings)(ramp, "ab")
    had = {one.kind for one, tensor in zip(DISTURBANCES, found, strict=True) if tensor is not None}
    assert had == kinds
    assert MP3 not in had


def test_noise_is_the_same_in_every_run() -> None:
    ramp = png(Image.linear_gradient("L").resize((64, 64)))
    one, other, third = (Disturber(SETTINGS)(ramp, name)[4] for name in ("ab", "ab", "ac"))
    assert torch.equal(one, other)
    assert not torch.equal(one, third)


def test_noise_is_another_one_in_each_segment_and_clips_at_full_scale(monkeypatch) -> None:
    given: list[np.ndarray] = []
    monkeypatch.setattr(
        Preprocessor, "of_sound", lambda _, sound: given.append(sound) or torch.zeros(1)
    )
    monkeypatch.setattr("genre_mlflow.features.disturbances.DISTURBANCES", [Disturbance(NOISE, 10)])
    sound = np.sign(SOUND).astype(np.float32)
    Disturber(SETTINGS)(encode(np.tile(0.5 * sound, 2)), "ab")
    first, second = given  # of the same sound
    assert not np.allclose(first, second, atol=0.05)
    assert abs(changed(NOISE, 10, sound)).max() == 1
