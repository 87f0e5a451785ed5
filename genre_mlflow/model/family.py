"""What every family of networks has: settings that declare its options and build its network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from genre_mlflow.errors import SettingsError
from genre_mlflow.features.settings import Shape
from genre_mlflow.settings import Settings, option

if TYPE_CHECKING:
    from torch import nn

MAX_BLOCKS = 8


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

    def paths(self) -> dict[str, str]:
        """Options of these settings that are paths of files, with their values."""
        return {}

    def check_start(self) -> None:
        """Raise `ModelError` where what training starts from cannot be had."""

    def start(self, network: "nn.Module") -> None:
        """Give a fresh network what training starts from, if that is more than random numbers."""

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """A network with fresh weights, drawn by torch's own random numbers."""
        raise NotImplementedError


def dropout() -> Any:
    """The option that all families with fully connected layers share."""
    return option(
        0.5, "Dropout before each fully connected layer, 0 to below 1.",
        low=0, below=1, searchable=True,
    )  # fmt: skip


def widths() -> Any:
    """The option of all families of blocks that halve the picture."""
    return option(
        (8, 16, 32, 64, 128), "Channels of each block of the network.",
        unit="channels", low=1, high=4096, searchable=True,
    )  # fmt: skip


def check_blocks(blocks: tuple[int, ...]) -> None:
    """Refuse more blocks than may be. Raises `SettingsError`."""
    if len(blocks) > MAX_BLOCKS:
        raise SettingsError(f"widths has {len(blocks)} blocks; allowed are 1 to {MAX_BLOCKS}")


def check_widths(blocks: tuple[int, ...], shape: Shape) -> None:
    """Refuse more blocks than leave a pixel. Raises `SettingsError`."""
    smaller = min(shape[1:])
    if smaller >> len(blocks) < 1:
        raise SettingsError(
            f"widths has {len(blocks)} blocks, which halve {smaller} pixels to nothing; allowed "
            f"are at most {smaller.bit_length() - 1}"
        )
