"""Power in the bands of Slaney's mel scale, frame by frame, in librosa's arithmetic."""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genre_mlflow.features.settings import SpectrogramSettings
from genre_mlflow.features.threads import one_thread

# Slaney's mel scale: linear below 1 kHz, 27 steps to a factor of 6.4 above it.
SLANEY_KNEE_HZ = 1000.0
SLANEY_HZ_PER_MEL = 200.0 / 3.0
SLANEY_KNEE_MEL = SLANEY_KNEE_HZ / SLANEY_HZ_PER_MEL  # 15 mel
SLANEY_LOG_STEP = np.log(6.4) / 27.0

FRAMES_PER_BLOCK = 128  # 1 MB of windowed frames at a time: they stay in the cache
# Of the loudest frequency in a frame: what is lower in it, single precision has wrong by more than
# 3e-3 dB. Doing such frames again costs a quarter; doing all in double, more than twice the time.
DOUBT = 1e-8
# Where the bands are cut into groups, each with a matrix of its own: the lower half of them lies
# in a fifth of the frequencies, and most of one matrix would be zeros.
CUTS = (0, 1 / 2, 3 / 4, 7 / 8, 1)


class Group(NamedTuple):
    """Neighbouring bands, the frequencies that they lie in, and `weights[frequencies, bands]`."""

    bands: slice
    bins: slice
    weights: Tensor


@torch.inference_mode()
def mel_power(samples: npt.NDArray[Any], settings: SpectrogramSettings) -> npt.NDArray[np.float32]:
    """Power in each mel band, `[n_mels, frames]`; the sound is padded with silence at both ends.

    In single precision, and once more in double where its rounding could be seen. On one thread:
    tracks are what is worth doing at the same time.
    """
    padded = np.pad(samples.astype(np.float32, copy=False), settings.n_fft // 2)
    frames = torch.from_numpy(padded).unfold(0, settings.n_fft, settings.hop_length)
    with one_thread():
        power, loudest = power_of(frames, settings, torch.float32)
        lowest = power.max() * 10 ** (-settings.top_db / 10)  # what lies below is not seen
        limit = DOUBT * loudest[:, None]
        some = (power.amin(dim=1) < limit[:, 0]).nonzero()[:, 0]  # most frames are in no doubt
        in_doubt = (power[some] < limit[some]) & (power[some] > lowest / 2)
        again = some[in_doubt.any(dim=1)]
        if len(again):
            power[again] = power_of(frames[again], settings, torch.float64)[0].float()
    return power.numpy().T


def power_of(
    frames: Tensor, settings: SpectrogramSettings, kind: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Power in each mel band, `[frames, n_mels]` of `[frames, n_fft]`, in a precision.

    And, by frame, what a band would have if all its frequencies were as loud as the loudest.
    """
    window, groups = hann_window(settings.n_fft, kind), mel_groups(settings, kind)
    windowed = torch.empty(min(FRAMES_PER_BLOCK, len(frames)), settings.n_fft, dtype=kind)
    power = torch.zeros(len(frames), settings.n_mels, dtype=kind)
    loudest = torch.empty(len(frames), dtype=kind)
    for start in range(0, len(frames), FRAMES_PER_BLOCK):
        block = slice(start, start + FRAMES_PER_BLOCK)
        some = frames[block]
        torch.mul(some, window, out=windowed[: len(some)])
        parts = torch.view_as_real(torch.fft.rfft(windowed[: len(some)])).flatten(1).square_()
        bins = parts[:, ::2] + parts[:, 1::2]  # [frames, bins]; `abs` would draw a root of each
        for group in groups:
            torch.mm(bins[:, group.bins], group.weights, out=power[block, group.bands])
        loudest[block] = bins.amax(dim=1)
    return power, loudest * (settings.n_fft / settings.sample_rate)  # a band's weights add up so


@cache
def hann_window(length: int, kind: torch.dtype) -> Tensor:
    """Periodic Hann window, `[length]`."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return torch.from_numpy(window).to(kind)


@cache
def mel_groups(settings: SpectrogramSettings, kind: torch.dtype) -> list[Group]:
    """All bands in groups; one whose bands lie between two frequencies is left out, as empty."""
    return list(groups_of(torch.from_numpy(mel_bands(settings)).to(kind)))


def groups_of(bands: Tensor) -> Iterator[Group]:
    """The bands, `[n_mels, bins]`, cut at `CUTS`."""
    cuts = sorted({round(cut * len(bands)) for cut in CUTS})
    for low, high in pairwise(cuts):
        some = bands[low:high]
        used = some.any(dim=0).nonzero()[:, 0].tolist()
        if used:
            bins = slice(used[0], used[-1] + 1)
            yield Group(slice(low, high), bins, some[:, bins].T.contiguous())


def mel_bands(settings: SpectrogramSettings) -> npt.NDArray[np.float32]:
    """Triangular bands of equal area, `[n_mels, 1 + n_fft // 2]` (librosa.filters.mel, Slaney)."""
    edges_hz = band_edges(settings, settings.n_mels + 1)
    bins_hz = np.fft.rfftfreq(settings.n_fft, 1 / settings.sample_rate)
    above_edge = bins_hz - edges_hz[:, None]
    widths_hz = np.diff(edges_hz)[:, None]
    rising = above_edge[:-2] / widths_hz[:-1]
    falling = -above_edge[2:] / widths_hz[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    areas = (edges_hz[2:] - edges_hz[:-2])[:, None] / 2
    return (triangles / areas).astype(np.float32)


def band_edges(settings: SpectrogramSettings, n: int) -> npt.NDArray[np.float64]:
    """Edges in Hz, lowest first, `[n + 1]`, of `n` bands equally wide in mel: rows of a picture."""
    low_mel, high_mel = hz_to_mel(settings.fmin), hz_to_mel(settings.highest_hz)
    return mel_to_hz(np.linspace(low_mel, high_mel, n + 1))


def hz_to_mel(hz: float) -> float:
    """A frequency on the scale."""
    if hz < SLANEY_KNEE_HZ:
        return hz / SLANEY_HZ_PER_MEL
    return float(SLANEY_KNEE_MEL + np.log(hz / SLANEY_KNEE_HZ) / SLANEY_LOG_STEP)


def mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """And back."""
    above_knee = np.maximum(mel - SLANEY_KNEE_MEL, 0)  # no overflow in the branch not taken
    return np.where(
        mel < SLANEY_KNEE_MEL,
        mel * SLANEY_HZ_PER_MEL,
        SLANEY_KNEE_HZ * np.exp(SLANEY_LOG_STEP * above_knee),
    )
