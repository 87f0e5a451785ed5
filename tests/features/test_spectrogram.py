"""The spectrogram against librosa, and the images against those made by others."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genre_mlflow.errors import DataError, SettingsError
from genre_mlflow.features import spectrogram
from genre_mlflow.features.audio import decode
from genre_mlflow.features.settings import SpectrogramSettings
from genre_mlflow.features.spectrogram import chroma, log_mel, mfcc, render
from genre_mlflow.files.locks import alone

RECORDINGS = (
    "blues.00000", "blues.00001", "blues.00002", "classical.00000", "classical.00001",
    "classical.00002", "country.00000", "disco.00000", "hiphop.00000", "jazz.00000",
    "metal.00000", "pop.00000", "reggae.00000", "rock.00000",
)  # fmt: skip
MOVED = 10  # pixels that rounding may move by one colour


@pytest.fixture(scope="module")
def real_data() -> Path:
    folder = os.environ.get("GENRE_REAL_DATA")
    if not folder:
        pytest.skip("GENRE_REAL_DATA is not set: no recordings to compare with")
    return Path(folder)


@pytest.fixture(scope="module")
def librosa():
    return pytest.importorskip("librosa")


def sound(n_samples: int, seed: int = 0) -> np.ndarray:
    """A tone over noise that swells, so that loud and quiet cells meet."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(n_samples) / 22_050
    tone = np.sin(2 * np.pi * rng.uniform(60, 5000) * time_s)
    noise = 0.3 * rng.standard_normal(n_samples) * np.linspace(0, 1, n_samples) ** 4
    return (0.5 * tone + noise).astype(np.float32)


def librosa_log_mel(librosa, samples: np.ndarray, options: SpectrogramSettings) -> np.ndarray:
    power = librosa.feature.melspectrogram(
        y=samples,
        sr=options.sample_rate,
        n_fft=options.n_fft,
        hop_length=options.hop_length,
        n_mels=options.n_mels,
        fmin=options.fmin,
        fmax=options.highest_hz,
    )
    return librosa.power_to_db(power, ref=np.max, top_db=options.top_db)


@st.composite
def options(draw) -> SpectrogramSettings:
    """Any settings that a spectrogram is made with."""
    rate = draw(st.sampled_from([8000, 16_000, 22_050, 44_100]))
    n_fft = draw(st.sampled_from([512, 1000, 1024, 2048, 4096]))
    fmin = draw(st.sampled_from([0.0, 30.0, 500.0]))
    return SpectrogramSettings(
        sample_rate=rate,
        n_fft=n_fft,
        hop_length=draw(st.integers(n_fft // 8, n_fft)),
        n_mels=draw(st.integers(10, 48)),  # librosa warns of empty bands where there are many
        fmin=fmin,
        fmax=draw(st.sampled_from([0.0, 3000.0, rate / 2])),
        top_db=draw(st.sampled_from([40.0, 80.0, 100.0])),
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Empty filters detected")  # narrow bands of a short window
@settings(max_examples=60, deadline=None)
@given(options(), st.integers(4096, 40_000), st.integers(0, 1000))
def test_log_mel_is_librosas_for_any_length_rate_and_settings(librosa, options, n_samples, seed):
    samples = sound(n_samples, seed)
    ours = log_mel(samples, options)
    theirs = librosa_log_mel(librosa, samples, options)
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape == (options.n_mels, 1 + n_samples // options.hop_length)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-3)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.integers(2048, 40_000), st.integers(0, 1000))
def test_log_mel_is_librosas_for_any_length(librosa, n_samples, seed):
    samples = sound(n_samples, seed)
    theirs = librosa_log_mel(librosa, samples, SpectrogramSettings())
    np.testing.assert_allclose(log_mel(samples), theirs, rtol=0, atol=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("n_samples", [3000, 30_000])
def test_mfcc_is_librosas(librosa, n_samples):
    samples = sound(n_samples)
    theirs = librosa.feature.mfcc(y=samples, sr=22_050)
    ours = mfcc(samples)
    assert ours.shape == theirs.shape == (20, 1 + n_samples // 512)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-2)  # sums of 128 cells of 5e-3 dB


@pytest.mark.slow
def test_what_librosa_compiles_first_no_other_thread_or_process_does(librosa, monkeypatch):
    inside, seen = [], []

    def slow(**sound: object) -> np.ndarray:
        inside.append(1)
        seen.append(len(inside))
        time.sleep(0.05)
        inside.pop()
        return np.zeros((12, 1), np.float32)

    monkeypatch.setattr(librosa.feature, "chroma_stft", slow)
    sound = np.ones(2048, np.float32)
    monkeypatch.setattr(spectrogram, "compiled", threading.Event())
    with ThreadPoolExecutor(2) as pool:
        with alone("librosa"):  # as another process would
            waiting = [pool.submit(chroma, sound) for _ in range(2)]
            time.sleep(0.2)
            assert seen == []
        [one.result() for one in waiting]
    assert seen == [1, 1]
    with alone("librosa"):  # later calls wait for nobody
        assert chroma(sound).shape == (12, 1)


@pytest.mark.slow  # librosa compiles, 20 s
def test_chroma_is_librosas_and_shows_the_pitch(librosa):
    samples = np.sin(2 * np.pi * 440 * np.arange(30_000) / 22_050).astype(np.float32)
    np.testing.assert_array_equal(chroma(samples), librosa.feature.chroma_stft(y=samples, sr=22050))
    assert chroma(samples).shape == (12, 59)
    assert (chroma(samples).argmax(axis=0) == 9).all()  # A


def test_log_mel_is_the_same_whatever_the_gain():
    samples = sound(20_000)
    quiet = log_mel(samples / 4, SpectrogramSettings())
    np.testing.assert_allclose(quiet, log_mel(samples, SpectrogramSettings()), atol=1e-4)


def test_log_mel_is_the_same_whatever_the_number_of_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    samples = sound(220_500)
    with threadpoolctl.threadpool_limits(1):
        one = log_mel(samples, SpectrogramSettings())
    with threadpoolctl.threadpool_limits(4):
        four = log_mel(samples, SpectrogramSettings())
    np.testing.assert_array_equal(one, four)


def test_log_mel_reaches_from_minus_top_db_to_zero():
    decibels = log_mel(sound(40_000), SpectrogramSettings(top_db=30))
    assert decibels.min() == -30
    assert decibels.max() == 0


@pytest.mark.parametrize("n_samples", [1, 511, 512, 2047])
def test_sound_shorter_than_a_window_still_has_frames(n_samples):
    assert log_mel(np.ones(n_samples), SpectrogramSettings()).shape == (128, 1 + n_samples // 512)


def test_silence_is_an_image_of_the_first_colour():
    decibels = log_mel(np.zeros(22_050, np.float32), SpectrogramSettings())
    assert not decibels.any()
    assert not np.asarray(render(decibels)).any()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((2, 100)), r"shape \[2, 100\].*one channel"),
        (np.zeros(0), r"shape \[0\]"),
        (np.array([0.0, np.nan]), "NaN"),
    ],
)
def test_unusable_sound_is_refused(samples, message):
    with pytest.raises(DataError, match=message):
        log_mel(samples, SpectrogramSettings())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sample_rate": 0}, "sample_rate is 0; allowed are 1 Hz or more"),
        ({"n_fft": 1}, "n_fft is 1; allowed"),
        ({"hop_length": 2.5}, "hop_length is 2.5; allowed is a whole number"),
        ({"n_mels": -1}, "n_mels is -1"),
        ({"fmin": -1.0}, "fmin is -1.0; allowed are 0 Hz or more"),
        ({"fmin": 500.0, "fmax": 500.0}, "fmax is 500.0 Hz; allowed are values above fmin"),
        ({"fmax": 11_026.0}, "fmax is 11026.0 Hz; allowed are .* up to 11025"),
        ({"top_db": 0.0}, "top_db is 0.0; allowed are finite values above 0 dB"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        SpectrogramSettings(**values)


@pytest.mark.parametrize("name", RECORDINGS)
def test_image_of_a_recording_is_the_published_one(real_data, name):
    place = f"{name.split('.')[0]}/{name}"
    samples = decode((real_data / f"gtzan-audio/{place}.flac").read_bytes())
    image = render(log_mel(samples))
    with Image.open(real_data / f"gtzan-mel/{place}.png") as published:
        theirs = colour_indices(published, image)
    difference = np.abs(np.asarray(image).astype(int) - theirs)
    assert np.count_nonzero(difference) <= MOVED
    assert difference.max() <= 1


def colour_indices(published: Image.Image, ours: Image.Image) -> np.ndarray:
    """Places of the published colours in our palette; -1000 for one that is not there."""
    palette = np.array(ours.getpalette()).reshape(-1, 3) @ [1, 256, 65_536]
    place = {colour: index for index, colour in enumerate(palette.tolist())}
    colours = np.asarray(published.convert("RGB")).astype(int) @ [1, 256, 65_536]
    return np.vectorize(lambda colour: place.get(colour, -1000))(colours)


def test_image_is_in_palette_mode_with_magmas_colours():
    image = render(np.arange(256.0).reshape(16, 16))
    assert image.mode == "P"
    assert image.size == (387, 385)
    colours = image.convert("RGB")
    assert colours.getpixel((0, 384)) == (0, 0, 4)  # lowest value: bottom left
    assert colours.getpixel((386, 0)) == (252, 253, 191)


def test_image_shows_low_frequencies_at_the_bottom_and_time_from_left_to_right():
    matrix = np.zeros((4, 4))
    matrix[0, 3] = 1
    pixels = np.asarray(render(matrix, width=8, height=8))
    assert np.argwhere(pixels).min(axis=0).tolist() == [6, 6]


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 40), st.integers(1, 40))
def test_image_of_any_size_shows_only_cells_of_the_matrix(n_mels, n_frames, width, height):
    image = render(np.arange(float(n_mels * n_frames)).reshape(n_mels, n_frames), width, height)
    assert image.size == (width, height)
    assert len(set(np.asarray(image).ravel())) <= n_mels * n_frames


@pytest.mark.parametrize(
    "matrix", [np.zeros(5), np.zeros((0, 4)), np.array([[0.0, np.inf]])], ids=str
)
def test_unusable_matrix_is_refused(matrix):
    with pytest.raises(DataError, match="an image needs"):
        render(matrix)


def test_image_without_width_is_refused():
    with pytest.raises(SettingsError, match="width is 0; allowed"):
        render(np.zeros((2, 2)), width=0)
