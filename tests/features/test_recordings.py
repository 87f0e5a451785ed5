"""A recording becomes the images of its segments, told from pictures by content, not by name."""

import numpy as np
import pytest
from PIL import Image
from sounds import RATE, encode, tone

from genre_mlflow.errors import DataError, SettingsError
from genre_mlflow.features.audio import decode
from genre_mlflow.features.preprocessing import Preprocessor, content_of
from genre_mlflow.features.settings import DRAWN, PreprocessingSettings
from genre_mlflow.features.spectrogram import log_mel, render

SETTINGS = {"image_size": 32, "image_width": 32, "segment_s": 2.0}


def preprocessor(**changes) -> Preprocessor:
    return Preprocessor(PreprocessingSettings(**{**SETTINGS, **changes}))


def test_a_recording_is_drawn_and_prepared_as_its_image_is(tmp_path):
    data = encode(tone(2.0))
    picture = render(log_mel(decode(data)))
    picture.save(tmp_path / "x.png")
    ours = preprocessor()
    assert ours(data).equal(ours((tmp_path / "x.png").read_bytes()))
    assert ours(data).equal(ours.prepare(picture))
    assert ours(data).shape == (1, 1, 32, 32)


def test_segments_have_their_times_and_their_own_sound():
    low, high = tone(2.0, 200), tone(2.0, 5000)
    data = encode(np.concatenate([low, high]), "FLAC")
    pixels, times = preprocessor().timed(data)
    assert times == [(0.0, 2.0), (2.0, 4.0)]
    assert pixels[0].equal(preprocessor()(encode(low))[0])
    assert pixels[1].equal(preprocessor()(encode(high))[0])
    assert not pixels[0].equal(pixels[1])


def test_segments_overlap_where_the_hop_is_shorter():
    _, times = preprocessor(hop_s=0.5).timed(encode(tone(3.2)))
    assert times == [(0.0, 2.0), (0.5, 2.5), (1.0, 3.2)]


def test_an_image_is_one_segment_without_times(tmp_path):
    Image.effect_noise((64, 64), 50).save(tmp_path / "x.wav", "PNG")
    pixels, times = preprocessor().timed(tmp_path / "x.wav")
    assert (pixels.shape[0], times) == (1, [(0.0, 0.0)])


def test_a_recording_under_another_name_is_still_one(tmp_path):
    (tmp_path / "x.png").write_bytes(encode(tone(2.0)))
    assert preprocessor()(tmp_path / "x.png").equal(preprocessor()(encode(tone(2.0))))


def test_a_segment_of_silence_is_left_out():
    sound = np.concatenate([tone(2.0), np.zeros(2 * RATE, np.float32), tone(2.0)])
    _, times = preprocessor().timed(encode(sound))
    assert times == [(0.0, 2.0), (4.0, 6.0)]


def test_a_short_recording_fills_its_image_by_repetition():
    sound = tone(1.0)
    expected = preprocessor()(encode(np.concatenate([sound, sound])))
    pixels, times = preprocessor().timed(encode(sound))
    assert pixels.equal(expected)
    assert times == [(0.0, 1.0)]


@pytest.mark.slow  # librosa compiles for its chroma
def test_each_kind_of_features_is_another_image():
    data = encode(tone(2.0))
    images = [preprocessor(features=kind)(data) for kind in DRAWN]
    assert all(image.shape == (1, 1, 32, 32) for image in images)
    assert len({image.numpy().tobytes() for image in images}) == len(DRAWN)


def test_loudness_matters_only_to_what_is_almost_silent():
    loud = np.float32(0.3) * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    quiet = np.float32(2e-3) * loud  # hardly above the level of silence
    as_is, normalised = preprocessor(), preprocessor(loudness="normalised")

    def difference(one: np.ndarray, other: np.ndarray, prepare: Preprocessor) -> float:
        images = [prepare(encode(x, "WAV", "FLOAT")).int() for x in (one, other)]
        return float((images[0] - images[1]).abs().float().mean())

    assert difference(loud, loud / 2, as_is) < 0.1
    assert difference(loud, quiet, as_is) > 5 * difference(loud, quiet, normalised)


def test_settings_of_the_spectrogram_change_the_image():
    data = encode(tone(2.0))
    default = preprocessor()(data)
    for changes in ({"n_mels": 64}, {"fmin": 100.0}, {"fmax": 4000.0}, {"top_db": 40.0},
                    {"n_fft": 1024}, {"hop_length": 256}):  # fmt: skip
        assert not preprocessor(**changes)(data).equal(default), changes


def test_more_segments_than_memory_can_hold_are_refused():
    data = encode(tone(1700.0, 20.0, 100), "WAV", "PCM_16", 100)  # half an hour
    with pytest.raises(DataError, match=r"^has 16,991 segments; at most 4,000 are read$"):
        preprocessor(segment_s=1.0, hop_s=0.1)(data)


def test_content_is_that_of_samples_or_pixels(tmp_path):
    sound = tone(2.0)
    assert content_of(encode(sound)) == content_of(encode(sound, "FLAC"))
    assert content_of(encode(sound)) != content_of(encode(-sound))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"features": "cqt"}, "features is 'cqt'; allowed are mel, mfcc, chroma"),
        ({"loudness": "loud"}, "loudness is 'loud'; allowed are as-is, normalised"),
        ({"segment_s": 0.5}, "segment_s is 0.5; allowed are 1 to 600 s"),
        ({"segment_s": float("nan")}, "segment_s is nan; allowed are 1 to 600 s"),
        ({"hop_s": 3.0}, r"hop_s is 3 s; allowed are 0.1 s to segment_s \(2 s\), or 0"),
        ({"hop_s": -1.0}, "hop_s is -1.0; allowed are 0 s or more"),
        ({"n_fft": 20_000}, "n_fft is 20000; allowed are 2 to 16384"),
        ({"n_mels": 0}, "n_mels is 0; allowed are 1 to 1024"),
        ({"fmax": 12_000.0}, "fmax is 12000.0 Hz; allowed"),
        ({"top_db": 0.0}, "top_db is 0.0; allowed"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        PreprocessingSettings(**{**SETTINGS, **values})
