"""Statistics of a spectrogram: finite, named, and blind to where in time something sounds."""

import numpy as np
import pytest
import torch
from scipy.fft import dct

from genre_mlflow.model.statistics import Statistics, in_order, means_of_neighbours

GENERATOR = torch.Generator().manual_seed(0)


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=GENERATOR)


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (128, 384), (385, 387), (64, 1200)])
def test_any_shape_has_named_and_finite_statistics(shape):
    statistics = Statistics(*shape)
    found = statistics(noise(3, 1, *shape))
    assert found.shape == (3, len(statistics.names))
    assert len(set(statistics.names)) == len(statistics.names)
    assert found.isfinite().all()


@pytest.mark.parametrize("level", [0, 255])
def test_a_constant_picture_has_finite_statistics(level):
    found = Statistics(64, 96)(torch.full((1, 1, 64, 96), level, dtype=torch.uint8))
    assert found.isfinite().all()


def test_each_picture_has_its_own_whatever_the_batch():
    statistics, pictures = Statistics(64, 96), noise(4, 1, 64, 96)
    together = statistics(pictures)
    assert torch.allclose(together[2:3], statistics(pictures[2:3]), atol=1e-5)


def test_where_in_time_does_not_matter_but_height_does():
    statistics = Statistics(128, 384)
    picture = torch.zeros(1, 1, 128, 384, dtype=torch.uint8)
    later, higher = picture.clone(), picture.clone()
    picture[..., 40:48, 120:136] = later[..., 40:48, 200:216] = higher[..., 80:88, 120:136] = 200
    names = [place for place, name in enumerate(statistics.names) if "modulation" not in name]
    here, there, above = (statistics(x)[:, names] for x in (picture, later, higher))
    assert torch.allclose(here, there, atol=2e-3)
    assert (here - above).abs().max() > 0.1


def test_cepstra_are_those_of_scipy():
    levels = noise(1, 1, 64, 96)
    statistics = Statistics(64, 96)
    found = statistics(levels)[0]
    expected = dct(levels[0, 0].numpy() / 255, axis=0, norm="ortho")[:40]
    own = [name.startswith("cepstrum_mean") for name in statistics.names]
    assert np.abs(found[own].numpy() - expected.mean(axis=1)).max() < 1e-4
    own = [name.startswith("cepstrum_deviation") for name in statistics.names]
    assert np.abs(found[own].numpy() - expected.std(axis=1)).max() < 1e-4


def test_a_steady_beat_has_more_pulse_than_noise():
    statistics = Statistics(64, 384)
    beat = torch.zeros(1, 1, 64, 384, dtype=torch.uint8)
    beat[..., ::12] = 200
    own = [name.startswith("pulse") for name in statistics.names]
    assert statistics(beat)[0, own][0] > 0.8
    assert statistics(noise(1, 1, 64, 384))[0, own][0] < 0.5


def test_faster_changes_lie_in_higher_modulation():
    statistics = Statistics(64, 384)
    time = torch.arange(384)
    own = [name.startswith("modulation") for name in statistics.names]
    peaks = []
    for cycles in (8, 64):  # in all columns
        wave = (127 + 100 * torch.sin(2 * torch.pi * cycles * time / 384)).to(torch.uint8)
        found = statistics(wave.expand(1, 1, 64, 384))[0, own].unflatten(0, (16, -1))
        peaks.append(int(found[0].argmax()))
    assert peaks[0] < peaks[1]


@pytest.mark.parametrize(("rows", "few"), [(1, 1), (2, 1), (8, 2), (16, 4), (17, 4), (16, 8)])
def test_the_lowest_rows_come_first_and_the_highest_last(rows, few):
    generator = torch.Generator().manual_seed(3)
    levels = torch.rand(2, 3, rows, 5, generator=generator)
    found, expected = in_order(levels, few), levels.sort(dim=2).values
    assert torch.equal(found[:, :, :few], expected[:, :, :few])
    assert torch.equal(found[:, :, -few:], expected[:, :, -few:])


@pytest.mark.parametrize(("n_values", "n"), [(126, 32), (97, 16), (64, 32), (5, 3)])
def test_means_of_neighbours_are_those_of_torch(n_values, n):
    rows = torch.rand(3, n_values, generator=torch.Generator().manual_seed(0))
    known = torch.nn.functional.adaptive_avg_pool1d(rows, n)
    assert torch.allclose(means_of_neighbours(rows, n), known, atol=1e-6)
