"""What every family of networks has: settings that declare its options and build its network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genre_mlflow.settings import Settings, option

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Family(Settings):
    """Settings of one network of a family.

    The network takes images: uint8 `[B, 3, size, size]`, to logits `[B, genres]`.
    """

    def check_input(self, image_size: int) -> None:
        """Raise `SettingsError` where no network can be built for images of this size."""

    def build(self, n_genres: int, image_size: int) -> "nn.Module":
        """A network with fresh weights, drawn by torch's own random numbers."""
        raise NotImplementedError


def dropout() -> Any:
    """The option that all families with fully connected layers share."""
    return option(
        0.5, "Dropout before each fully connected layer, 0 to below 1.",
        low=0, below=1, searchable=True,
    )  # fmt: skip
