"""What every family of networks has: settings that declare its options and build its network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from genre_mlflow.features.settings import Shape
from genre_mlflow.settings import Settings, option

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Family(Settings):
    """Settings of one network of a family.

    The network takes images of a shape `(C, H, W)`: uint8 `[B, C, H, W]`, to logits `[B, genres]`.
    `C` is 1, for levels, or 3, for colours. `is_fitted`: it is fitted at once to all training
    tracks, and learns nothing in epochs.
    """

    is_fitted: ClassVar[bool] = False

    def check_input(self, shape: Shape) -> None:
        """Raise `SettingsError` where no network can be built for images of this shape."""

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """A network with fresh weights, drawn by torch's own random numbers."""
        raise NotImplementedError


def dropout() -> Any:
    """The option that all families with fully connected layers share."""
    return option(
        0.5, "Dropout before each fully connected layer, 0 to below 1.",
        low=0, below=1, searchable=True,
    )  # fmt: skip
