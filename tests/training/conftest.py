"""Tiny tracks and classifiers that `fit` can go through in milliseconds."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import Tensor

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG

GENRES = ("low", "middle", "high")
SIZE = 32
PIXELS = PreprocessingSettings(image_size=SIZE, image_width=SIZE, colours="kept")


def tracks_of(pixels: Tensor, genres: list[int], segments: list[int]) -> TrackDataset:
    """Tracks of these genres and numbers of segments, whose pixels follow each other."""
    shas = [f"{place}" for place in range(len(genres))]
    manifest = pd.DataFrame({"sha256": shas, "genre": [GENRES[genre] for genre in genres]})
    spans = [(sum(segments[:place]), segments[place]) for place in range(len(genres))]
    cache = SimpleNamespace(pixels=pixels.numpy(), span=dict(zip(shas, spans, strict=True)))
    return TrackDataset(manifest, GENRES, cache)


def noise_with_bands(labels: list[int], seed: int) -> Tensor:
    """Noise with a band whose height is the label's, uint8 `[labels, 3, SIZE, SIZE]`."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 150, (len(labels), 3, SIZE, SIZE), generator=generator)
    for image, label in zip(noise, labels, strict=True):
        image[:, 10 * label : 10 * label + 6] += 80
    return noise.to(torch.uint8)


def single_segments(n: int, seed: int) -> TrackDataset:
    """Tracks of one segment, of all genres in turn."""
    genres = [place % len(GENRES) for place in range(n)]
    return tracks_of(noise_with_bands(genres, seed), genres, [1] * n)


def several_segments(genres: list[int], segments: list[int], seed: int = 2) -> TrackDataset:
    """Tracks of these genres and numbers of segments."""
    labels = [g for g, count in zip(genres, segments, strict=True) for _ in range(count)]
    return tracks_of(noise_with_bands(labels, seed), genres, segments)


@pytest.fixture(scope="session")
def train() -> TrackDataset:
    return single_segments(26, seed=1)  # with batches of 8, the last one has 2


@pytest.fixture(scope="session")
def val() -> TrackDataset:
    return single_segments(12, seed=2)


@pytest.fixture(scope="session")
def make_tracks():
    return several_segments


@pytest.fixture
def make_classifier():
    def make(seed: int = 0, dropout: float = 0.5, aggregation: str = "mean") -> Classifier:
        torch.manual_seed(seed)
        network = VGG(
            stem="pixels", widths=(4, 8), head_width=8, dropout=dropout, pooling="mean", crop=1.0,
            statistics_share=0.0,
        )  # fmt: skip
        return Classifier(GENRES, network, PIXELS, aggregation)

    return make
