"""Pictures changed by chance, so that a network learns from more of them than there are."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from genre_mlflow.features.mel import (
    SLANEY_HZ_PER_MEL,
    SLANEY_KNEE_HZ,
    SLANEY_KNEE_MEL,
    SLANEY_LOG_STEP,
)
from genre_mlflow.features.settings import AugmentationSettings, PreprocessingSettings

LEVELS = 255.0


@dataclass(frozen=True)
class Augmenter:
    """Changes each picture of a batch for itself, by torch's random numbers of its device.

    Time is stretched and pitch shifted along the axes of the picture, as Schlueter and Grill 2015
    (ISMIR) do; the masks are SpecAugment's (Park et al. 2019, arXiv:1904.08779), filled with the
    mean.
    """

    settings: AugmentationSettings
    preprocessing: PreprocessingSettings

    def __call__(self, pixels: Tensor) -> Tensor:
        """Pixels 0 to 255, `[B, C, H, W]`; the same, or float32 where anything is changed."""
        own = self.settings
        if own.changes_nothing:
            return pixels
        pixels = pixels.float()
        if own.is_warping:
            stretch = 1 + own.time_stretch * (2 * drawn(pixels) - 1)
            semitones = own.pitch_shift * (2 * drawn(pixels) - 1)
            pixels = self.warped(pixels, stretch, semitones)
        if own.roll:
            pixels = rolled(pixels, own.roll)
        if own.gain_db:
            gain = self.levels(own.gain_db) * (2 * drawn(pixels) - 1)
            pixels = pixels + gain.view(-1, 1, 1, 1)
        if own.noise_db:
            noise = torch.randn(pixels.shape, device=pixels.device)
            pixels = pixels + self.levels(own.noise_db) * noise
        if own.time_mask:
            pixels = masked(pixels, own.time_mask, axis=3)
        if own.frequency_mask:
            pixels = masked(pixels, own.frequency_mask, axis=2)
        return pixels.clamp(0, LEVELS)

    def by_seed(self, pixels: Tensor, seed: int) -> Tensor:
        """Pixels as an epoch may have them, by random numbers of their own; to look at."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self(pixels)

    def levels(self, decibels: float) -> float:
        """How many levels of a picture these are."""
        return decibels / self.preprocessing.top_db * LEVELS

    def warped(
        self, pixels: Tensor, stretch: Tensor, semitones: Tensor, mode: str = "bilinear"
    ) -> Tensor:
        """Time around its centre by a factor, frequencies by another; silence comes in.

        Float32 `[B, C, H, W]`, and of both what each picture gets, `[B]`. `mode`: between pixels,
        `bilinear`, which blurs a little, or `nearest`, which does not.
        """
        height, width = pixels.shape[2:]
        x = torch.linspace(-1, 1, width, device=pixels.device) / stretch[:, None]  # [B, W]
        x = 1 - ((x + 1) % 4 - 2).abs()  # what lies outside is the inside, mirrored
        y = self.rows_below(semitones, height)  # [B, H]
        shape = len(pixels), height, width
        grid = torch.stack([x[:, None].expand(shape), y[:, :, None].expand(shape)], dim=3)
        found: Tensor = functional.grid_sample(pixels, grid, mode, align_corners=True)
        return found

    def rows_below(self, semitones: Tensor, height: int) -> Tensor:
        """Where the rows of shifted pictures come from, -1 at the top to 1, `[B, height]`."""
        low, high = (
            mel(torch.tensor(hz)) for hz in (self.preprocessing.fmin, self.preprocessing.highest_hz)
        )
        step = (high - low) / height
        own = high - step * (torch.arange(height, device=semitones.device) + 0.5)  # [H]
        source = mel(hertz(own) / 2 ** (semitones[:, None] / 12))
        row = (high - source) / step - 0.5
        return 2 * row / (height - 1) - 1


def drawn(pixels: Tensor) -> Tensor:
    """A number for each picture, 0 to below 1; drawn on their device, so that nothing waits."""
    return torch.rand(len(pixels), device=pixels.device)


def rolled(pixels: Tensor, most: float) -> Tensor:
    """Each picture later by up to this share of its time; what falls out begins it."""
    width = pixels.shape[3]
    shift = (drawn(pixels) * most * width).long()
    columns = (torch.arange(width, device=pixels.device) - shift[:, None]) % width  # [B, W]
    return pixels.gather(3, columns[:, None, None].expand(pixels.shape))


def masked(pixels: Tensor, most: float, axis: int) -> Tensor:
    """Of each picture a part along this axis, of up to this share, is its mean."""
    n = pixels.shape[axis]
    size = drawn(pixels) * most * n
    start = drawn(pixels) * (n - size)
    place = torch.arange(n, device=pixels.device)
    hidden = (place >= start[:, None]) & (place < (start + size)[:, None])  # [B, n]
    shape = [len(pixels), 1, 1, 1]
    shape[axis] = n
    means = pixels.mean(dim=(2, 3), keepdim=True)
    return torch.where(hidden.view(shape), means, pixels)


def mel(hz: Tensor) -> Tensor:
    """Slaney's mel scale, as librosa has it."""
    factors = (hz.clamp(min=SLANEY_KNEE_HZ) / SLANEY_KNEE_HZ).log()
    above = SLANEY_KNEE_MEL + factors / float(SLANEY_LOG_STEP)
    return torch.where(hz < SLANEY_KNEE_HZ, hz / SLANEY_HZ_PER_MEL, above)


def hertz(mels: Tensor) -> Tensor:
    """Undo `mel`."""
    above = SLANEY_KNEE_HZ * (float(SLANEY_LOG_STEP) * (mels - SLANEY_KNEE_MEL)).exp()
    return torch.where(mels < SLANEY_KNEE_MEL, mels * SLANEY_HZ_PER_MEL, above)
