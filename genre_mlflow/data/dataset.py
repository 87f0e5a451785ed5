"""The tracks of a manifest as tensors."""

from collections.abc import Iterator, Sequence

import pandas as pd
import torch
from torch import Tensor

from genre_mlflow.data.cache import PixelCache


class TrackDataset:
    """The tracks of a manifest as tensors, read from a memory-mapped cache.

    An item is a segment (`segments="all"`), or a track of which every pass takes one segment,
    drawn by torch's own random numbers (`"random"`). `labels`: int64 `[items]`, the place of each
    item's genre in `genres`; `owners`: int64 `[items]`, the place of its track in the manifest.
    """

    def __init__(
        self,
        manifest: pd.DataFrame,
        genres: Sequence[str],
        cache: "PixelCache",
        segments: str = "all",
    ) -> None:
        self._source = manifest, genres, cache
        places = {genre: place for place, genre in enumerate(genres)}
        spans = [cache.span[sha] for sha in manifest["sha256"]]
        self._first = torch.tensor([first for first, _ in spans])
        self._counts = torch.tensor([count for _, count in spans])
        tracks = torch.arange(len(manifest))
        self._random = segments == "random"
        self.owners = tracks if self._random else tracks.repeat_interleave(self._counts)
        genre_of = torch.tensor([places[genre] for genre in manifest["genre"]])
        self.labels = genre_of[self.owners]
        before = self._counts.cumsum(0) - self._counts  # segments of the tracks before
        self._within = torch.arange(len(self.owners)) - before[self.owners]
        self._pixels = cache.pixels

    def __len__(self) -> int:
        return len(self.owners)

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels uint8 `[B, 3, H, W]` and labels int64 `[B]`, in `order` or as they lie."""
        order = torch.arange(len(self)) if order is None else order
        rows = (self._first[self.owners] + self.within()).numpy()
        for chosen in torch.split(order, size):
            yield torch.from_numpy(self._pixels[rows[chosen.numpy()]]), self.labels[chosen]

    def whole(self) -> "TrackDataset":
        """The same tracks with all their segments."""
        return TrackDataset(*self._source) if self._random else self

    def within(self) -> Tensor:
        """The segment of each item, counted from the first of its track."""
        if not self._random:
            return self._within
        return (torch.rand(len(self)) * self._counts).long()
