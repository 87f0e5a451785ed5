"""VGG-style convolutional networks (Simonyan and Zisserman 2014, arXiv:1409.1556)."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genre_mlflow.features.settings import Shape
from genre_mlflow.model.family import (
    PIXELS,
    Family,
    check_blocks,
    check_blocks_fit,
    check_levels,
    dropout,
    ensemble,
    explained_block,
    several,
    stem,
    widths,
)
from genre_mlflow.settings import option

if TYPE_CHECKING:
    from torch import nn

MEAN, MEAN_DEVIATION = POOLINGS = ("mean", "mean-deviation")


@dataclass(frozen=True)
class VGG(Family):
    """Blocks of 3x3 convolutions with batch normalisation, ReLU and max pooling, then a head.

    They read the pixels, or their textures: how much of each of 64 patterns every patch holds. The
    last feature map is averaged over time and kept along frequency: where in a track something
    sounds does not matter, how high it sounds does. Beside them stands an SVM on fixed statistics
    of the spectrogram, fitted before the first epoch; both answer together.
    """

    stem: str = stem()
    widths: tuple[int, ...] = widths()
    convs_per_block: int = option(
        1, "3x3 convolutions before each pooling.", low=1, high=8, searchable=True
    )
    pooling: str = option(
        MEAN_DEVIATION, "What is kept of the last feature map over time.",
        choices=POOLINGS, searchable=True,
    )  # fmt: skip
    crop: float = option(
        0.5, "Share of the time that is read at once; 1: all of it.",
        above=0, high=1, searchable=True,
    )  # fmt: skip
    head_width: int = option(
        0, "Units of a hidden fully connected layer; 0: there is none.",
        unit="units", low=0, high=8192, searchable=True,
    )  # fmt: skip
    dropout: float = dropout()
    ensemble: int = ensemble()
    statistics_share: float = option(
        0.67, "Weight of the statistics beside the network in the answer; 0: none are used.",
        low=0, below=1, searchable=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        check_blocks(self.widths)

    def __str__(self) -> str:
        beside = " with statistics" if self.statistics_share else ""
        return f"{several(self.ensemble)}vgg {'-'.join(map(str, self.widths))}{beside}"

    def check_input(self, shape: Shape) -> None:
        """Each block halves the map; a cell must be left. Textures and statistics need levels."""
        if self.statistics_share:
            both = f"--stem {PIXELS} --statistics-share 0"
            check_levels(
                f"network vgg with statistics_share {self.statistics_share:g}", shape, both
            )
        check_blocks_fit(self.stem, self.widths, shape)

    def explained(self, shape: Shape) -> str:
        """One of the blocks."""
        return explained_block(self.stem, len(self.widths), self.convs_per_block, shape)

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """Logits `[B, genres]` of uint8 pixels `[B, C, H, W]`."""
        from genre_mlflow.model.layers import Fused, together
        from genre_mlflow.model.networks.baselines import cropped_statistics

        self.check_input(shape)
        network = together([self.convolutions(n_genres, shape) for _ in range(self.ensemble)])
        if self.statistics_share:
            beside = cropped_statistics(n_genres, shape, self.crop)
            network = Fused(beside, network, self.statistics_share)
        return network

    def convolutions(self, n_genres: int, shape: Shape) -> "nn.Module":
        """What learns in epochs, once."""
        from torch import nn

        from genre_mlflow.model.layers import Crops, OverTime, stem_and_blocks

        first, rows = stem_and_blocks(self.stem, self.widths, self.convs_per_block, shape)
        with_deviation = self.pooling == MEAN_DEVIATION
        n_features = self.widths[-1] * rows * (2 if with_deviation else 1)
        parts = {
            **first,
            "over_time": OverTime(with_deviation=with_deviation),
            "head": self.head(n_features, n_genres),
        }
        network = nn.Sequential(OrderedDict(parts))
        return Crops(network, self.crop) if self.crop < 1 else network

    def head(self, n_features: int, n_genres: int) -> "nn.Module":
        """Fully connected layers, one or two."""
        from torch import nn

        width = self.head_width
        hidden = (
            [nn.Dropout(self.dropout), nn.Linear(n_features, width), nn.ReLU()] if width else []
        )
        last = nn.Linear(width or n_features, n_genres)
        return nn.Sequential(*hidden, nn.Dropout(self.dropout), last)
