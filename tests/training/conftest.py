"""Tiny tracks and networks that `fit` can go through in milliseconds."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from genre_mlflow.model.networks import VGG
from genre_mlflow.model.settings import NetworkSettings

N_GENRES = 3
SIZE = 32


class MemoryTracks:
    """Tracks of `N_GENRES` genres: noise with a band whose height is the genre's."""

    def __init__(self, n: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.arange(n) % N_GENRES
        self.owners = torch.arange(n)
        noise = torch.randint(0, 150, (n, 3, SIZE, SIZE), generator=generator)
        for image, label in zip(noise, self.labels.tolist(), strict=True):
            image[:, 10 * label : 10 * label + 6] += 80
        self.pixels = noise.to(torch.uint8)

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.arange(len(self)) if order is None else order
        for chosen in torch.split(order, size):
            yield self.pixels[chosen], self.labels[chosen]


@pytest.fixture(scope="session")
def train() -> MemoryTracks:
    return MemoryTracks(26, seed=1)  # with batches of 8, the last one has 2


@pytest.fixture(scope="session")
def val() -> MemoryTracks:
    return MemoryTracks(12, seed=2)


@pytest.fixture
def make_network():
    def make(seed: int = 0, dropout: float = 0.5) -> nn.Module:
        torch.manual_seed(seed)
        return VGG(NetworkSettings((4, 8), head_width=8, dropout=dropout), N_GENRES, SIZE)

    return make
