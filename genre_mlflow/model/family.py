"""What every family of networks has: settings that declare its options and build its network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from genre_mlflow.errors import SettingsError
from genre_mlflow.features.settings import MUSICNN, PreprocessingSettings, Shape
from genre_mlflow.settings import Settings, option

if TYPE_CHECKING:
    from torch import nn

MAX_BLOCKS = 8
TEXTURES, PIXELS = STEMS = ("textures", "pixels")
PATCH = 8  # pixels to a texture, each way
FEWEST_ROWS = 16  # of a map that is to tell bands of frequency apart


@dataclass(frozen=True)
class Family(Settings):
    """Settings of one network of a family.

    The network takes images of a shape `(C, H, W)`: uint8 `[B, C, H, W]`, to logits `[B, genres]`.
    `C` is 1, for levels, or 3, for colours. `is_fitted`: it is fitted at once to all training
    tracks, and learns nothing in epochs. `is_baseline`: others are compared with its like.
    `reads_files`: it answers to music; what reads the rows of a table instead is not registered.
    """

    is_fitted: ClassVar[bool] = False
    is_baseline: ClassVar[bool] = False
    reads_files: ClassVar[bool] = True

    def unexplained(self) -> str:
        """Why there is nothing to explain; empty where there is."""
        return ""

    def explained(self, shape: Shape) -> str:
        """The layer, by its name in each convolutional network, whose map explains an answer.

        For images of this shape; empty where nothing is convolved.
        """
        return ""

    def check_input(self, shape: Shape) -> None:
        """Raise `SettingsError` where no network can be built for images of this shape."""

    def check_pictures(self, pictures: PreprocessingSettings) -> None:
        """Raise `SettingsError` where the network would misread what such pictures show."""
        if pictures.features == MUSICNN:
            raise SettingsError(f"features {MUSICNN} are what network {MUSICNN} alone reads")

    def paths(self) -> dict[str, str]:
        """Options of these settings that are paths of files, with their values."""
        return {}

    def check_files(self) -> None:
        """Say at once which file of data it cannot read. Raises `DataError`."""

    def data_digest(self) -> str:
        """What names the data that it reads beside the music; empty for none."""
        return ""

    def check_start(self) -> None:
        """Raise `ModelError` where what training starts from cannot be had."""

    def start(self, network: "nn.Module") -> None:
        """Give a fresh network what training starts from, if that is more than random numbers."""

    def origin(self) -> str:
        """What a model card says of weights that something else has trained; empty for none."""
        return ""

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """A network with fresh weights, drawn by torch's own random numbers."""
        raise NotImplementedError


def dropout() -> Any:
    """The option that all families with fully connected layers share."""
    return option(
        0.5, "Dropout before each fully connected layer, 0 to below 1.",
        low=0, below=1, searchable=True,
    )  # fmt: skip


def stem() -> Any:
    """The option of all families of blocks: what the first one reads."""
    return option(
        TEXTURES, "What the first block reads: textures, fixed patterns in patches of 8 by 8 "
        "pixels, or the pixels.", choices=STEMS, searchable=True,
    )  # fmt: skip


def widths() -> Any:
    """The option of all families of blocks that halve the picture."""
    return option(
        (64, 64, 64), "Channels of each block of the network.",
        unit="channels", low=1, high=4096, searchable=True,
    )  # fmt: skip


def ensemble() -> Any:
    """The option of all families of which several can learn side by side."""
    return option(
        1, "Networks that learn side by side, each from weights of its own, and answer together.",
        low=1, high=100,
    )  # fmt: skip


def several(ensemble: int) -> str:
    """How many networks there are, before the name of one: `5 x `."""
    return f"{ensemble} x " if ensemble > 1 else ""


def check_blocks(blocks: tuple[int, ...]) -> None:
    """Refuse more blocks than may be. Raises `SettingsError`."""
    if len(blocks) > MAX_BLOCKS:
        raise SettingsError(f"widths has {len(blocks)} blocks; allowed are 1 to {MAX_BLOCKS}")


def check_levels(what: str, shape: Shape, remedy: str = "") -> None:
    """Refuse colours for what reads levels. Raises `SettingsError`."""
    if shape[0] != 1:
        other = f", or {remedy}" if remedy else ""
        raise SettingsError(f"{what} needs one channel of dB: --colours undone{other}")


def check_blocks_fit(stem: str, blocks: tuple[int, ...], shape: Shape) -> None:
    """Refuse colours for textures, and more blocks than leave a pixel. Raises `SettingsError`.

    Of textures, blocks halve the rows alone.
    """
    if stem == TEXTURES:
        check_levels(f"stem {TEXTURES}", shape, f"--stem {PIXELS}")
        size, what = shape[1] // PATCH, "rows of textures"
    else:
        size, what = min(shape[1:]), "pixels"
    if size >> len(blocks) < 1:
        raise SettingsError(
            f"widths has {len(blocks)} blocks, which halve {size} {what} to nothing; allowed "
            f"are at most {size.bit_length() - 1}"
        )


def explained_block(stem: str, n_blocks: int, convs: int, shape: Shape) -> str:
    """The deepest block whose map has `FEWEST_ROWS`; where none has, the first before it pools."""
    height = shape[1] // PATCH if stem == TEXTURES else shape[1]
    deep = [n for n in range(n_blocks) if height >> (n + 1) >= FEWEST_ROWS]
    return f"blocks.{deep[-1]}" if deep else f"blocks.0.{3 * convs - 1}"
