"""A small network that has learnt two genres which differ in one band and one half of the time."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG

GENRES = "blues", "rock"
PICTURES = PreprocessingSettings(image_size=32, image_width=64)
# Where each genre is bright: rows from the top, and columns.
PLACES = {"blues": (slice(4, 10), slice(0, 32)), "rock": (slice(22, 28), slice(32, 64))}
NETWORK = VGG(stem="pixels", widths=(8, 8), crop=1.0, statistics_share=0.0, pooling="mean")


@dataclass
class Pixels:
    """What a cache of pixels has, in memory."""

    pixels: np.ndarray
    span: dict[str, tuple[int, int]]


def pictures(n: int, seed: int, *, silent: bool = False) -> tuple[Tensor, Tensor]:
    """Noise, uint8 `[n, 1, 32, 64]`, bright where its genre is unless `silent`, and labels."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 120, (n, 1, 32, 64)).astype(np.uint8)
    labels = np.arange(n) % 2
    if not silent:
        for picture, label in zip(pixels, labels, strict=True):
            rows, columns = PLACES[GENRES[label]]
            picture[0, rows, columns] += 110
    return torch.from_numpy(pixels), torch.from_numpy(labels)


def learnt(pixels: Tensor, labels: Tensor) -> Classifier:
    """A classifier that has learnt these."""
    torch.manual_seed(0)
    classifier = Classifier(GENRES, NETWORK, PICTURES)
    optimiser = torch.optim.Adam(classifier.network.parameters(), 0.01)
    classifier.network.train()
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(classifier.network(pixels), labels).backward()
        optimiser.step()
    return classifier


def corpus(pixels: Tensor, labels: Tensor) -> tuple[pd.DataFrame, TrackDataset]:
    """A manifest of tracks, each its own group, and their pixels."""
    names = [f"{n:03d}" for n in range(len(pixels))]
    genres = [GENRES[label] for label in labels.tolist()]
    manifest = pd.DataFrame(
        {"track_id": names, "path": names, "genre": genres, "group": names, "sha256": names,
         "split": "test", "format": "PNG"}
    )  # fmt: skip
    span = {name: (n, 1) for n, name in enumerate(names)}
    return manifest, TrackDataset(manifest, GENRES, Pixels(pixels.numpy(), span))
