"""Convolutions, then a recurrent layer over time (Choi et al. 2016, arXiv:1609.04243)."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genre_mlflow.features.settings import Shape
from genre_mlflow.model.family import (
    Family,
    check_blocks,
    check_blocks_fit,
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


@dataclass(frozen=True)
class CRNN(Family):
    """Blocks of a 3x3 convolution and 2x2 pooling, then a GRU that reads the columns in turn."""

    stem: str = stem()
    widths: tuple[int, ...] = widths()
    recurrent_width: int = option(
        64, "Units of the recurrent layer, in each direction.",
        unit="units", low=1, high=4096, searchable=True,
    )  # fmt: skip
    dropout: float = dropout()
    ensemble: int = ensemble()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_blocks(self.widths)

    def __str__(self) -> str:
        widths = "-".join(map(str, self.widths))
        return f"{several(self.ensemble)}crnn {widths}, {self.recurrent_width}"

    def check_input(self, shape: Shape) -> None:
        """Each block halves the image; a pixel must be left."""
        check_blocks_fit(self.stem, self.widths, shape)

    def explained(self, shape: Shape) -> str:
        """One of the blocks."""
        return explained_block(self.stem, len(self.widths), 1, shape)

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """Logits `[B, genres]` of uint8 pixels `[B, C, H, W]`."""
        from genre_mlflow.model.layers import together

        self.check_input(shape)
        return together([self.one(n_genres, shape) for _ in range(self.ensemble)])

    def one(self, n_genres: int, shape: Shape) -> "nn.Module":
        """One of the networks."""
        from torch import nn

        from genre_mlflow.model.layers import Recurrent, stem_and_blocks

        first, rows = stem_and_blocks(self.stem, self.widths, 1, shape)
        parts = {
            **first,
            "recurrent": Recurrent(self.widths[-1] * rows, self.recurrent_width),
            "dropout": nn.Dropout(self.dropout),
            "head": nn.Linear(2 * self.recurrent_width, n_genres),
        }
        return nn.Sequential(OrderedDict(parts))
