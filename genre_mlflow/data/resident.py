"""The tracks of a manifest with all their pixels on a device, where no batch has to travel."""

from collections.abc import Iterable, Iterator
from copy import copy
from typing import Self

import torch
from torch import Tensor

from genre_mlflow.data.dataset import Pair, TrackDataset

COPIED_AT_ONCE = 256  # items, 13 MB of levels


class ResidentTracks(TrackDataset):
    """Tracks as `tracks` has them; batches of them lie on the device.

    Nothing is copied there in a pass but the order of the items, at its beginning: a copy at every
    batch would make the device wait, or be waited for.
    """

    _held: Tensor  # uint8 [items, C, H, W], on the device
    _held_labels: Tensor  # int64 [items], on the device

    @classmethod
    def of(cls, tracks: TrackDataset, device: torch.device) -> Self:
        """These tracks with their pixels on the device. Raises what torch does for want of room."""
        own = cls.__new__(cls)
        vars(own).update(vars(copy(tracks)))
        own._held = held(tracks, device)
        own._held_labels = tracks.labels.to(device)
        return own

    def batches(self, size: int, order: Iterable[int] | None = None) -> Iterator[Pair]:
        """As those of `TrackDataset`, pixels and labels on the device."""
        order = range(len(self)) if order is None else order
        places = torch.tensor(list(order), dtype=torch.int64).to(self._held.device)
        for part in places.split(size):
            yield self._held.index_select(0, part), self._held_labels.index_select(0, part)


def held(tracks: TrackDataset, device: torch.device) -> Tensor:
    """All pixels on the device, copied piece by piece: they never are in memory as a whole."""
    first, _ = tracks.gather([0])
    pixels = torch.empty((len(tracks), *first.shape[1:]), dtype=first.dtype, device=device)
    done = 0
    for batch, _ in tracks.batches(COPIED_AT_ONCE):
        pixels[done : done + len(batch)] = batch.to(device)
        done += len(batch)
    return pixels
