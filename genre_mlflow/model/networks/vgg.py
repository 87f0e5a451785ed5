"""VGG-style convolutional networks (Simonyan and Zisserman 2014, arXiv:1409.1556)."""

from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from genre_mlflow.errors import SettingsError
from genre_mlflow.features.settings import Shape
from genre_mlflow.model.family import Family, dropout
from genre_mlflow.settings import option

if TYPE_CHECKING:
    from torch import nn

MAX_BLOCKS = 8


@dataclass(frozen=True)
class VGG(Family):
    """Blocks of 3x3 convolutions with batch normalisation, ReLU and 2x2 max pooling, then a head.

    The last feature map is averaged over time and kept along frequency: where in a track
    something sounds does not matter, how high it sounds does.
    """

    widths: tuple[int, ...] = option(
        (8, 16, 32, 64, 128), "Channels of each block of the network.",
        unit="channels", low=1, high=4096, searchable=True,
    )  # fmt: skip
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
        if len(self.widths) > MAX_BLOCKS:
            raise SettingsError(
                f"widths has {len(self.widths)} blocks; allowed are 1 to {MAX_BLOCKS}"
            )

    def __str__(self) -> str:
        return f"vgg {self.widths[0]}-{self.widths[-1]}"

    def check_input(self, shape: Shape) -> None:
        """Each block halves the image; a pixel must be left."""
        smaller = min(shape[1:])
        if smaller >> len(self.widths) < 1:
            raise SettingsError(
                f"widths has {len(self.widths)} blocks, which halve {smaller} pixels to "
                f"nothing; allowed are at most {smaller.bit_length() - 1}"
            )

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """Logits `[B, genres]` of uint8 pixels `[B, C, H, W]`."""
        from torch import nn

        from genre_mlflow.model.layers import MeanOverTime, Scale

        self.check_input(shape)
        channels, height, _ = shape
        widths = (channels, *self.widths)
        rows = height >> len(self.widths)
        blocks = nn.Sequential(*(self.block(n_in, n_out) for n_in, n_out in pairwise(widths)))
        head = nn.Sequential(
            nn.Dropout(self.dropout),
            nn.Linear(widths[-1] * rows, self.head_width),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.head_width, n_genres),
        )
        parts = {"scale": Scale(), "blocks": blocks, "mean": MeanOverTime(), "head": head}
        return nn.Sequential(OrderedDict(parts))

    def block(self, n_in: int, n_out: int) -> "nn.Sequential":
        """Convolutions from `n_in` to `n_out` channels, then halve height and width."""
        from torch import nn

        layers: list[nn.Module] = []
        for i in range(self.convs_per_block):
            layers += [
                nn.Conv2d(n_in if i == 0 else n_out, n_out, 3, padding=1, bias=False),
                nn.BatchNorm2d(n_out),
                nn.ReLU(inplace=True),
            ]
        return nn.Sequential(*layers, nn.MaxPool2d(2))
