"""VGG-style convolutional networks (Simonyan and Zisserman 2014, arXiv:1409.1556)."""

from itertools import pairwise

from torch import Tensor, nn

from genre_mlflow.errors import SettingsError
from genre_mlflow.model.settings import NetworkSettings


class VGG(nn.Module):
    """Blocks of 3x3 convolutions with batch normalisation, ReLU and 2x2 max pooling, then a head.

    The last feature map is averaged over time and kept along frequency: where in a track
    something sounds does not matter, how high it sounds does.
    """

    def __init__(self, settings: NetworkSettings, n_genres: int, image_size: int) -> None:
        super().__init__()
        rows = image_size >> len(settings.widths)
        if rows < 1:
            raise SettingsError(
                f"widths has {len(settings.widths)} blocks, which halve {image_size} pixels to "
                f"nothing; allowed are at most {image_size.bit_length() - 1}"
            )
        widths = (3, *settings.widths)
        self.blocks = nn.Sequential(
            *(block(n_in, n_out, settings.convs_per_block) for n_in, n_out in pairwise(widths))
        )
        self.head = nn.Sequential(
            nn.Dropout(settings.dropout),
            nn.Linear(widths[-1] * rows, settings.head_width),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.head_width, n_genres),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits `[B, genres]` of uint8 pixels `[B, 3, H, W]`."""
        images = pixels.float() / 127.5 - 1.0
        features = self.blocks(images).mean(dim=3)  # [B, channels, rows]
        logits: Tensor = self.head(features.flatten(1))
        return logits


def block(n_in: int, n_out: int, n_convs: int) -> nn.Sequential:
    """`n_convs` convolutions from `n_in` to `n_out` channels, then halve height and width."""
    layers: list[nn.Module] = []
    for i in range(n_convs):
        layers += [
            nn.Conv2d(n_in if i == 0 else n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.MaxPool2d(2))
