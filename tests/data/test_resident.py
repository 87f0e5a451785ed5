"""Tracks on a device give what the same tracks give from the cache."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.data.resident import COPIED_AT_ONCE, ResidentTracks

N = COPIED_AT_ONCE + 7  # that is copied in two pieces


@pytest.fixture(scope="module")
def tracks() -> TrackDataset:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (N + 3, 1, 2, 5), generator=generator).to(torch.uint8)
    # The second track, of three segments, lies first in the cache.
    spans = {"a": (3, 1), "b": (0, 3), **{f"{i}": (i, 1) for i in range(4, N)}}
    genres = [("high", "low")[i % 2] for i in range(len(spans))]
    manifest = pd.DataFrame({"sha256": list(spans), "genre": genres})
    return TrackDataset(
        manifest, ["high", "low"], SimpleNamespace(pixels=pixels.numpy(), span=spans)
    )


@pytest.mark.parametrize("size", [1, 64, N])
def test_batches_are_those_of_the_cache(tracks, size):
    there = ResidentTracks.of(tracks, torch.device("cpu"))
    order = torch.randperm(len(tracks), generator=torch.Generator().manual_seed(1)).tolist()
    for given in (None, order, order[:3]):
        pairs = zip(there.batches(size, given), tracks.batches(size, given), strict=True)
        for (pixels, labels), (known_pixels, known_labels) in pairs:
            assert torch.equal(pixels, known_pixels)
            assert torch.equal(labels, known_labels)


def test_pixels_and_labels_lie_on_the_device(tracks):
    pixels, labels = next(ResidentTracks.of(tracks, torch.device("meta")).batches(4))
    assert pixels.device.type == labels.device.type == "meta"
    assert pixels.dtype is torch.uint8


def test_size_is_that_of_all_pixels(tracks):
    assert tracks.nbytes == len(tracks) * 10
