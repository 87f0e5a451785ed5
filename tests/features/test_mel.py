"""Mel bands in groups are the bands; one block or many, one thread or several are the same."""

import threading

import numpy as np
import pytest
import torch

from genre_mlflow.features import mel
from genre_mlflow.features.mel import band_edges, groups_of, mel_bands, mel_groups, mel_power
from genre_mlflow.features.settings import SpectrogramSettings
from genre_mlflow.features.threads import one_thread


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


@pytest.mark.parametrize("n_mels", [1, 2, 3, 7, 128, 1024])
def test_groups_hold_every_weight_once(n_mels):
    settings = SpectrogramSettings(n_mels=n_mels)
    found = np.zeros_like(mel_bands(settings))
    for group in mel_groups(settings, torch.float32):
        found[group.bands, group.bins] += group.weights.numpy().T
    np.testing.assert_array_equal(found, mel_bands(settings))


def test_bands_without_a_frequency_have_no_power():
    settings = SpectrogramSettings(n_fft=64, hop_length=32, n_mels=64)
    bands = mel_bands(settings)
    empty = ~bands.any(axis=1)
    power = mel_power(noise(4000), settings)
    assert 0 < empty.sum() < len(bands)
    assert not power[empty].any()
    assert power[~empty].all()
    assert not list(groups_of(torch.zeros(8, 33)))


def test_frames_are_the_same_whatever_the_block_that_they_lie_in(monkeypatch):
    settings = SpectrogramSettings()
    whole = mel_power(noise(40_000), settings)
    monkeypatch.setattr(mel, "FRAMES_PER_BLOCK", 7)
    np.testing.assert_allclose(mel_power(noise(40_000), settings), whole, rtol=1e-5)


def test_frames_in_doubt_are_those_of_double_precision():
    settings = SpectrogramSettings(top_db=100.0)
    time_s = np.arange(44_100) / 22_050
    sound = np.sin(2 * np.pi * 200 * time_s) + 1e-6 * noise(44_100)
    frames = torch.from_numpy(np.pad(sound.astype(np.float32), 1024)).unfold(0, 2048, 512)
    exact, _ = mel.power_of(frames, settings, torch.float64)
    single, _ = mel.power_of(frames, settings, torch.float32)
    found = torch.from_numpy(mel_power(sound, settings)).T.double()
    seen = exact > exact.max() * 1e-10
    apart = [(10 * (one / exact).log10()).abs()[seen].max() for one in (found, single.double())]
    assert apart[0] < 3e-3 < apart[1]


def test_edges_are_equally_wide_in_mel():
    edges = band_edges(SpectrogramSettings(fmin=0.0), 4)
    mels = [mel.hz_to_mel(hz) for hz in edges]
    np.testing.assert_allclose(np.diff(mels), mels[-1] / 4)
    assert edges[-1] == pytest.approx(11_025)


def test_threads_that_come_while_another_is_inside_go_back_to_what_was_outside():
    before = torch.get_num_threads()
    seen = []

    def fresh() -> None:  # has not used torch: sees what the other has set
        with one_thread():
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads())

    torch.set_num_threads(3)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
            thread = threading.Thread(target=fresh)
            thread.start()
            thread.join()
        assert seen == [1, 3]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
