"""Tracks as items: what a torch `DataLoader` may ask of them, and what our own batches give."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sounds import encode, tone
from torch.utils.data import DataLoader

from genre_mlflow.corpus.scan import scan
from genre_mlflow.data.cache import open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import PreprocessingSettings

SMALL = PreprocessingSettings(image_size=32, image_width=32)
SEGMENTED = PreprocessingSettings(image_size=32, image_width=32, segment_s=1.0)


@pytest.fixture
def manifest(tmp_path, make_corpus):
    return scan(make_corpus(tmp_path / "music", tracks=4)).manifest


@pytest.fixture
def tracks(tmp_path, manifest):
    cache = open_cache(manifest, SMALL, tmp_path / "cache")
    return TrackDataset(manifest, ["rock", "jazz", "blues"], cache)


def test_labels_are_places_in_the_genres_given(tracks, manifest):
    assert len(tracks) == 12
    assert tracks.labels.dtype == torch.int64
    assert tracks.labels.tolist() == [2] * 4 + [1] * 4 + [0] * 4


def test_an_item_is_what_the_preprocessor_gives_and_its_label(tracks, manifest):
    preprocessor = Preprocessor(SMALL)
    for place, path in enumerate(manifest["path"]):
        pixels, label = tracks[place]
        assert pixels.equal(preprocessor(path)[0])
        assert pixels.dtype == torch.uint8
        assert label.shape == ()
        assert label == tracks.labels[place]


@pytest.mark.parametrize(
    ("size", "lengths"), [(5, [5, 5, 2]), (12, [12]), (100, [12]), (1, [1] * 12)]
)
def test_batches_hold_every_track_once(tracks, size, lengths):
    batches = list(tracks.batches(size))
    assert [len(pixels) for pixels, _ in batches] == lengths
    assert torch.cat([labels for _, labels in batches]).equal(tracks.labels)
    assert batches[0][0].dtype == torch.uint8


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_batches_follow_the_order_given(tracks, manifest, kind):
    order = [7, 0, 11, 3]
    pixels, labels = next(tracks.batches(4, kind(order)))
    assert labels.equal(tracks.labels[order])
    preprocessor = Preprocessor(SMALL)
    for image, place in zip(pixels, order, strict=True):
        assert image.equal(preprocessor(manifest["path"][place])[0])


def test_what_is_given_can_be_written_to_without_touching_the_cache(tracks):
    before = next(tracks.batches(12))[0].clone()
    next(tracks.batches(12))[0].zero_()
    tracks[3][0].zero_()
    assert next(tracks.batches(12))[0].equal(before)


def test_a_data_loader_gives_the_same_batches(tracks):
    order = [7, 0, 11, 3, 4]
    ours = list(tracks.batches(2, order))
    theirs = list(DataLoader(tracks, batch_size=2, sampler=order))
    assert len(ours) == len(theirs) == 3
    for (pixels, labels), (other_pixels, other_labels) in zip(ours, theirs, strict=True):
        assert pixels.equal(other_pixels)
        assert labels.equal(other_labels)


def test_several_items_are_fetched_at_once(tracks):
    fetched = tracks.__getitems__([5, 2])
    for (pixels, label), place in zip(fetched, [5, 2], strict=True):
        assert pixels.equal(tracks[place][0])
        assert label == tracks.labels[place]


def test_every_segment_is_an_item_that_knows_its_track(tmp_path):
    for name, seconds in (("a/x", 1), ("a/y", 3), ("b/z", 2)):
        path = tmp_path / "sounds" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(tone(seconds, seed=seconds)))
    manifest = scan(tmp_path / "sounds").manifest
    tracks = TrackDataset(manifest, ["a", "b"], open_cache(manifest, SEGMENTED, tmp_path / "cache"))
    assert len(tracks) == 6
    assert tracks.owners.tolist() == [0, 1, 1, 1, 2, 2]
    assert tracks.labels.tolist() == [0, 0, 0, 0, 1, 1]
    expected = torch.cat([Preprocessor(SEGMENTED)(path) for path in manifest["path"]])
    assert next(tracks.batches(6))[0].equal(expected)


def test_tracks_need_not_lie_in_the_cache_as_in_the_manifest():
    """A cache is sorted by contents, and two tracks may be copies of one file."""
    pixels = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
    cache = SimpleNamespace(pixels=pixels, span={"x": (3, 2), "y": (0, 3)})
    manifest = pd.DataFrame({"sha256": ["x", "y", "x"], "genre": ["a", "b", "a"]})
    tracks = TrackDataset(manifest, ["a", "b"], cache)
    assert [int(pixels) for pixels, _ in tracks] == [3, 4, 0, 1, 2, 3, 4]
    assert tracks.owners.tolist() == [0, 0, 1, 1, 1, 2, 2]
