"""The input of musicnn, beside librosa's."""

import librosa
import numpy as np
import pytest
import sounds
import torch

from genre_mlflow.errors import DataError
from genre_mlflow.features.musicnn import (
    PATCH_FRAMES,
    as_bytes,
    from_bytes,
    musicnn_log_mel,
    musicnn_patches,
)

RATE = 16_000


def sound(seconds: float = 4.0, level: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(0)
    t = np.arange(int(seconds * RATE)) / RATE
    wave = np.sin(2 * np.pi * 220 * t) + 0.3 * np.sin(2 * np.pi * 3000 * t * t)
    return (level * wave + 1e-3 * rng.standard_normal(len(t))).astype(np.float32)


@pytest.mark.slow  # librosa compiles
@pytest.mark.parametrize("level", [1e-4, 0.01, 0.5, 1.0])
def test_log_mel_is_that_of_librosa(level):
    samples = sound(level=level)
    power = librosa.feature.melspectrogram(y=samples, sr=RATE, n_fft=512, hop_length=256, n_mels=96)
    expected = np.log10(1 + 10_000 * power).T
    found = musicnn_log_mel(samples)
    assert found.dtype == np.float32
    assert found.shape == (1 + len(samples) // 256, 96)
    np.testing.assert_allclose(found, expected, atol=2e-5)  # kept in steps of 1.2e-4


def test_silence_is_0_and_the_loudness_counts():
    assert not musicnn_log_mel(np.zeros(RATE, np.float32)).any()
    quiet, loud = (musicnn_log_mel(sound(level=level)).mean() for level in (0.05, 0.5))
    assert loud > 1.5 * quiet


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((2, 100)), np.full(100, np.nan)])
def test_what_is_no_sound_is_refused(samples):
    with pytest.raises(DataError, match="sound"):
        musicnn_log_mel(samples.astype(np.float32))


def frames(n: int) -> np.ndarray:
    """A matrix whose first band tells the number of each frame."""
    return np.tile(np.arange(n, dtype=np.float32)[:, None], (1, 96))


@pytest.mark.parametrize(
    ("n", "n_patches", "starts"),
    [
        (187, 0, [0]), (373, 0, [0]), (374, 0, [0, 187]), (700, 0, [0, 187, 374]),
        (187, 3, [0, 0, 0]), (487, 1, [0]), (487, 4, [0, 100, 200, 300]), (1876, 2, [0, 1689]),
    ],
)  # fmt: skip
def test_patches_lie_where_they_are_said_to(n, n_patches, starts):
    found = musicnn_patches(frames(n), n_patches)
    assert found.shape == (len(starts), PATCH_FRAMES, 96)
    assert found[:, 0, 0].tolist() == starts
    assert (np.diff(found[:, :, 95]) == 1).all()


def test_what_is_shorter_than_a_patch_is_repeated():
    found = musicnn_patches(frames(100))
    assert found.shape == (1, PATCH_FRAMES, 96)
    assert found[0, :, 0].tolist() == [*range(100), *range(87)]


def test_three_seconds_are_a_patch():
    log_mel = musicnn_log_mel(sounds.tone(3.0, 440.0, rate=RATE))
    assert PATCH_FRAMES <= len(log_mel) <= PATCH_FRAMES + 1


def test_what_is_kept_in_bytes_is_the_matrix_within_their_steps():
    rng = np.random.default_rng(0)
    patches = rng.uniform(0, 8, (3, 2, PATCH_FRAMES, 96)).astype(np.float32)
    patches[0, 0, 0, :3] = 0.0, 8.0, 9.0  # silence, the loudest, and what is beyond
    kept = torch.from_numpy(np.stack([as_bytes(one) for one in patches]))
    assert kept.dtype == torch.uint8
    assert kept.shape == (3, 2, 96, 2 * PATCH_FRAMES)
    found = from_bytes(kept).numpy()
    assert found.shape == patches.shape
    np.testing.assert_allclose(found, patches.clip(0, 8), atol=8 / 65_535 / 2 + 1e-6)
    assert found[0, 0, 0, :3].tolist() == pytest.approx([0, 8, 8])
