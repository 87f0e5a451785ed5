"""The tracks of a manifest as tensors."""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from typing import Self

import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, Dataset

from genre_mlflow.data.cache import PixelCache
from genre_mlflow.data.table import FeatureRows
from genre_mlflow.data.variants import Variants

Pair = tuple[Tensor, Tensor]  # pixels and label, of one item or of a batch


class TrackDataset(Dataset[Pair]):
    """The segments of a manifest's tracks, read from a memory-mapped cache.

    An item is a segment: pixels uint8 `[C, H, W]`, or a row of a table as float32 `[1, 1, F]`,
    label int64 `[]`. The items of a track lie together, in the order of the manifest. `labels`:
    int64 `[items]`, the place of each item's genre in `genres`; `owners`: int64 `[items]`, the
    place of its track in the manifest. `variants`: what some items may be instead, drawn anew each
    time that they are asked for.
    """

    def __init__(
        self, manifest: pd.DataFrame, genres: Sequence[str], cache: PixelCache | FeatureRows
    ) -> None:
        places = {genre: place for place, genre in enumerate(genres)}
        spans = [cache.span[sha] for sha in manifest["sha256"]]
        first = torch.tensor([first for first, _ in spans])
        counts = torch.tensor([count for _, count in spans])
        self.manifest = manifest
        self.variants: Variants | None = None
        self.owners = torch.arange(len(manifest)).repeat_interleave(counts)
        self.labels = torch.tensor([places[genre] for genre in manifest["genre"]])[self.owners]
        before = counts.cumsum(0) - counts  # items of the tracks before
        self._segments = torch.arange(len(self.owners)) - before[self.owners]
        self._rows = (first[self.owners] + self._segments).numpy()
        self._pixels = cache.pixels

    def __len__(self) -> int:
        return len(self.owners)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels, 0 without any."""
        return int(len(self) * self._pixels[:1].nbytes)

    def __getitem__(self, index: int) -> Pair:
        pixels, labels = self.gather([index])
        return pixels[0], labels[0]

    def __getitems__(self, indices: list[int]) -> list[Pair]:
        """Several items at once, as a `DataLoader` asks for them."""
        return list(zip(*self.gather(indices), strict=True))

    def gather(self, indices: list[int]) -> Pair:
        """Pixels uint8 `[B, C, H, W]` and labels int64 `[B]`, copied from the cache."""
        pixels = torch.from_numpy(self._pixels[self._rows[indices]])
        if self.variants:
            pixels = self.variants.deal(pixels, self.owners[indices], self._segments[indices])
        return pixels, self.labels[indices]

    def varied(self, variants: Variants) -> Self:
        """The same items, which may be given as one of their variants."""
        other = copy(self)
        other.variants = variants
        return other

    def batches(self, size: int, order: Iterable[int] | None = None) -> Iterator[Pair]:
        """What `gather` gives for `size` items after the other, in `order` or as they lie.

        A plain batch sampler, since no `DataLoader` was faster (`benchmarks/bench_loading.py`, 639
        images of 224 pixels by 32, one thread): 3.4 ms an epoch, against 3.9 ms by a `DataLoader`
        that gets whole batches, 13 ms by one that collates items, and over 60 ms by one or two
        workers, which have nothing to decode and must be started for every pass.
        """
        order = range(len(self)) if order is None else order
        for indices in BatchSampler(order, size, drop_last=False):
            yield self.gather(indices)
