"""Truth that is spread over genres: mixed tracks, and smoothed labels."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Beta


@dataclass(frozen=True)
class Mixer:
    """Makes of a batch what a step learns from, by torch's own random numbers.

    `mixup`: alpha of the Beta distribution (Zhang et al. 2018, arXiv:1710.09412), 0 mixes nothing;
    `smoothing`: share of the truth that goes to all genres alike (Szegedy et al. 2016,
    arXiv:1512.00567).
    """

    n_genres: int
    mixup: float
    smoothing: float

    def __call__(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels `[B, C, H, W]` and shares of the genres `[B, genres]`, of a batch with labels.

        Mixed pixels are float32. A track is mixed with another of the batch, and keeps the larger
        share, so that its label remains the likeliest.
        """
        # Not `one_hot`, which reads the labels to check them: the device would be waited for.
        truth = (labels[:, None] == torch.arange(self.n_genres, device=labels.device)).float()
        if self.mixup:
            drawn = float(Beta(self.mixup, self.mixup).sample())  # on the processor: nothing waits
            share = max(drawn, 1 - drawn)
            others = torch.randperm(len(labels), device=pixels.device)
            pixels = torch.lerp(pixels[others].float(), pixels.float(), share)
            truth = torch.lerp(truth[others], truth, share)
        return pixels, truth * (1 - self.smoothing) + self.smoothing / self.n_genres
