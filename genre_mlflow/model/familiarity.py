"""How far a sound lies from the music that a classifier has learnt from.

By fixed statistics of the picture, not by what the network makes of it: these are the same for
every network, and a track that was learnt from is no nearer for it. The distance is that of the
nearest neighbours (Sun et al. 2022, ICML, who take it in features of the network).
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import Self

import torch
from torch import Tensor

from genre_mlflow.features.musicnn import from_bytes
from genre_mlflow.features.settings import MUSICNN, PreprocessingSettings
from genre_mlflow.model.statistics import Statistics

NEIGHBOURS = 5  # of which the farthest is measured to
BATCH = 32  # pictures at once
FAINTEST = 1e-6  # of a log-mel matrix that is scaled to its loudest cell


@dataclass(frozen=True, eq=False)
class Familiarity:
    """Music that was learnt from: `references`, float32 `[tracks, F]`, in deviations.

    `mean` and `deviation`, float32 `[F]`, are of their statistics. `farthest`: the distance, in
    the same, that tracks of this kind of music hardly ever have.
    """

    mean: Tensor
    deviation: Tensor
    references: Tensor
    farthest: float

    def distances(self, statistics: Tensor) -> Tensor:
        """How far segments lie from their fifth nearest neighbour, `[B]`, of `[B, F]`."""
        scaled = (statistics - self.mean) / self.deviation
        apart = torch.cdist(
            scaled, self.references, compute_mode="donot_use_mm_for_euclid_dist"
        )  # by products of matrices small distances would be lost in those of large numbers
        return apart.kthvalue(min(NEIGHBOURS, len(self.references)), dim=1).values

    def score(self, statistics: Tensor) -> float:
        """How foreign a track is, of its segments, `[segments, F]`: above 1 it is foreign.

        The middle one of the segments counts, so that an odd one among many says nothing.
        """
        return float(self.distances(statistics).median()) / self.farthest

    def arrays(self) -> dict[str, Tensor]:
        """What is saved beside the weights."""
        return {name: value.contiguous() for name, value in vars(self).items() if name in ARRAYS}

    def check_width(self, n: int) -> None:
        """Raise `ValueError` where the arrays are not of so many statistics."""
        widths = self.mean.shape, self.deviation.shape, self.references.shape[1:]
        if set(widths) != {(n,)} or not len(self.references):
            told = ", ".join(f"{name} {list(one.shape)}" for name, one in self.arrays().items())
            raise ValueError(f"familiar music has {told}; needed are {n} statistics")

    @classmethod
    def of(cls, arrays: dict[str, Tensor], farthest: float) -> Self:
        """What `arrays` gave. Raises `TypeError` for others."""
        return cls(**arrays, farthest=farthest)


ARRAYS = tuple(one.name for one in fields(Familiarity) if one.name != "farthest")


@torch.inference_mode()
def statistics_of(pixels: Tensor, pictures: PreprocessingSettings) -> Tensor:
    """Statistics of segments as they go to the network, uint8 `[B, C, H, W]`: float32 `[B, F]`."""
    describe = statistics(*pictures.shape[1:])
    batches = (levels(batch, pictures)[:, None] for batch in pixels.split(BATCH))
    return torch.cat([describe(255 * batch) for batch in batches])


@cache
def n_statistics(pictures: PreprocessingSettings) -> int:
    """How many `statistics_of` there are of a segment."""
    return statistics_of(torch.zeros(1, *pictures.shape, dtype=torch.uint8), pictures).shape[1]


@cache
def statistics(height: int, width: int) -> Statistics:
    """What describes pictures of a size; made once, for that costs as much as a picture."""
    return Statistics(height, width)


def levels(pixels: Tensor, pictures: PreprocessingSettings) -> Tensor:
    """How loud each cell is, float32 `[B, H, W]`, 0 to 1; of colours the mean of the three."""
    if pictures.features != MUSICNN:
        return pixels.float().mean(dim=1) / 255
    log_mel = from_bytes(pixels).flatten(1, 2).mT  # [B, bands, frames]
    return log_mel / log_mel.amax(dim=(1, 2), keepdim=True).clamp_min(FAINTEST)
