"""VGG-style convolutional networks (Simonyan and Zisserman 2014, arXiv:1409.1556)."""

from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from genre_mlflow.features.settings import Shape
from genre_mlflow.model.family import Family, check_blocks, check_widths, dropout, widths
from genre_mlflow.settings import option

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class VGG(Family):
    """Blocks of 3x3 convolutions with batch normalisation, ReLU and 2x2 max pooling, then a head.

    The last feature map is averaged over time and kept along frequency: where in a track
    something sounds does not matter, how high it sounds does.
    """

    widths: tuple[int, ...] = widths()
    convs_per_block: int = option(
        1, "3x3 convolutions before each pooling.", low=1, high=8, searchable=True
    )
    head_width: int = option(
        256, "Units of the hidden fully connected layer.",
        unit="units", low=1, high=8192, searchable=True,
    )  # fmt: skip
    dropout: float = dropout()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_blocks(self.widths)

    def __str__(self) -> str:
        return f"vgg {self.widths[0]}-{self.widths[-1]}"

    def check_input(self, shape: Shape) -> None:
        """Each block halves the image; a pixel must be left."""
        check_widths(self.widths, shape)

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """Logits `[B, genres]` of uint8 pixels `[B, C, H, W]`."""
        from torch import nn

        from genre_mlflow.model.layers import MeanOverTime, Scale, block

        self.check_input(shape)
        channels, height, _ = shape
        channels_of = (channels, *self.widths)
        rows = height >> len(self.widths)
        convs = self.convs_per_block
        blocks = nn.Sequential(
            *(block(n_in, n_out, convs) for n_in, n_out in pairwise(channels_of))
        )
        head = nn.Sequential(
            nn.Dropout(self.dropout),
            nn.Linear(self.widths[-1] * rows, self.head_width),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.head_width, n_genres),
        )
        parts = {"scale": Scale(), "blocks": blocks, "mean": MeanOverTime(), "head": head}
        return nn.Sequential(OrderedDict(parts))
