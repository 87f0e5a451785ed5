"""Settings of the network, saved beside its weights."""

from dataclasses import dataclass

from genre_mlflow.errors import SettingsError

AGGREGATIONS = ("mean", "vote", "max")  # how the answers for a track's segments become one


@dataclass(frozen=True)
class NetworkSettings:
    """Shape of a VGG-style network.

    `widths`: channels of each block; `convs_per_block`: 3x3 convolutions before each pooling;
    `head_width`: units of the hidden fully connected layer; `dropout`: rate before each fully
    connected layer, 0 to below 1.
    """

    widths: tuple[int, ...] = (8, 16, 32, 64, 128)
    convs_per_block: int = 1
    head_width: int = 256
    dropout: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if not 1 <= len(self.widths) <= 8 or not all(1 <= w <= 4096 for w in self.widths):
            raise SettingsError(
                f"widths are {self.widths}; allowed are 1 to 8 blocks of 1 to 4096 channels"
            )
        if not 1 <= self.convs_per_block <= 8:
            raise SettingsError(f"convs_per_block is {self.convs_per_block}; allowed are 1 to 8")
        if not 1 <= self.head_width <= 8192:
            raise SettingsError(f"head_width is {self.head_width}; allowed are 1 to 8192 units")
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout is {self.dropout}; allowed are 0 to below 1")
