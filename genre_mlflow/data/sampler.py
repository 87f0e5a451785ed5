"""Which items an epoch takes, and in which order."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler


class EpochSampler(Sampler[int]):
    """Every segment once (`segments="all"`), or a random one of every track (`"random"`).

    `owners`: int64 `[items]`, the track of each item, those of a track together. Order and
    segments are drawn anew each time it is iterated, by torch's own random numbers: whoever seeds
    those with the seed and the epoch gets what depends on these alone, in every process the same.
    So a sampler for several processes need only take its share of this one.
    """

    def __init__(self, owners: Tensor, segments: str) -> None:
        self._n_items = len(owners)
        self._counts = torch.bincount(owners)  # [tracks]
        self._random = segments == "random"

    def __len__(self) -> int:
        return len(self._counts) if self._random else self._n_items

    def __iter__(self) -> Iterator[int]:
        order = torch.randperm(len(self))
        if self._random:
            firsts = self._counts.cumsum(0) - self._counts
            within = (torch.rand(len(self)) * self._counts).long()
            order = (firsts + within)[order]
        yield from order.tolist()
