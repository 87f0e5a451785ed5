"""Statistics of whatever goes to a network: one channel, colours, or log-mel patches in bytes."""

import numpy as np
import pytest
import torch

from genre_mlflow.features.musicnn import PATCH_FRAMES, as_bytes
from genre_mlflow.features.settings import KEPT, MUSICNN, UNDONE, PreprocessingSettings
from genre_mlflow.model.familiarity import BATCH, levels, statistics_of


def drawn(shape, n=2):
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8)


@pytest.mark.parametrize("colours", [UNDONE, KEPT])
def test_pictures_of_any_colours_have_statistics(colours):
    pictures = PreprocessingSettings(image_size=32, image_width=40, colours=colours)
    found = statistics_of(drawn(pictures.shape), pictures)
    assert found.shape[0] == 2
    assert found.isfinite().all()


def test_grey_in_three_colours_is_the_same_picture():
    one = PreprocessingSettings(image_size=32, image_width=40)
    three = PreprocessingSettings(image_size=32, image_width=40, colours=KEPT)
    pixels = drawn(one.shape)
    expected = statistics_of(pixels, one)
    torch.testing.assert_close(statistics_of(pixels.expand(-1, 3, -1, -1), three), expected)


@pytest.mark.parametrize("louder", [1.0, 2.0])
def test_of_log_mel_patches_the_loudness_does_not_count(louder):
    pictures = PreprocessingSettings(features=MUSICNN, segment_s=6.0)
    patches = np.random.default_rng(0).random((pictures.n_patches, PATCH_FRAMES, 96)) * 1.5
    pixels = torch.from_numpy(as_bytes(patches * louder))[None]
    found = levels(pixels, pictures)
    assert found.shape == (1, 96, pictures.n_patches * PATCH_FRAMES)
    expected = torch.from_numpy(patches.reshape(-1, 96).T / patches.max()).float()
    torch.testing.assert_close(found[0], expected, atol=1e-3, rtol=0)
    assert statistics_of(pixels, pictures).isfinite().all()


def test_silence_has_statistics_too():
    pictures = PreprocessingSettings(features=MUSICNN, segment_s=6.0)
    silent = torch.zeros((1, *pictures.shape), dtype=torch.uint8)
    assert statistics_of(silent, pictures).isfinite().all()


def test_how_many_are_asked_for_at_once_does_not_matter():
    pictures = PreprocessingSettings(image_size=32, image_width=32)
    pixels = drawn(pictures.shape, BATCH + 3)
    alone = torch.cat([statistics_of(one[None], pictures) for one in pixels[-5:]])
    torch.testing.assert_close(statistics_of(pixels, pictures)[-5:], alone, atol=1e-4, rtol=1e-4)
