"""Residual networks (He et al. 2015, arXiv:1512.03385), as torchvision has them, untrained."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genre_mlflow.errors import SettingsError
from genre_mlflow.features.settings import Shape
from genre_mlflow.model.family import Family, dropout

if TYPE_CHECKING:
    from torch import nn

HALVINGS = 5  # of height and width before the last layers


@dataclass(frozen=True)
class ResNet18(Family):
    """torchvision's `resnet18` without weights: 11.2 million parameters."""

    dropout: float = dropout()

    def __str__(self) -> str:
        return "resnet18"

    def check_input(self, shape: Shape) -> None:
        """The last feature map needs two pixels, or one track alone could not be normalised."""
        _, height, width = shape
        if max(height, width) <= 1 << HALVINGS:
            raise SettingsError(
                f"the input has {height} x {width} pixels; resnet18 needs "
                f"{(1 << HALVINGS) + 1} or more one way"
            )

    def build(self, n_genres: int, shape: Shape) -> "nn.Module":
        """Logits `[B, genres]` of uint8 pixels `[B, C, H, W]`."""
        from torch import nn
        from torchvision.models import resnet18

        from genre_mlflow.model.layers import Colours, Scale

        self.check_input(shape)
        network = resnet18(weights=None)
        head = nn.Linear(network.fc.in_features, n_genres)
        network.fc = nn.Sequential(nn.Dropout(self.dropout), head)
        return nn.Sequential(
            OrderedDict({"scale": Scale(), "colours": Colours(), "resnet": network})
        )
