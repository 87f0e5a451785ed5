"""Layers that several families of networks share."""

from typing import Self

import torch
from torch import Tensor, nn

# Of the colours, 0 to 1, over the images of ImageNet; torchvision's weights are made for them.
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Scale(nn.Module):
    """Pixels of 0 to 255, uint8, to -1 to 1, float32."""

    def forward(self, pixels: Tensor) -> Tensor:
        """Same shape in and out."""
        return pixels.float() / 127.5 - 1.0


class ImageNetPixels(nn.Module):
    """Pixels as networks for photographs take them: three colours, scaled as ImageNet is."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)
        deviation = torch.tensor(IMAGENET_DEVIATION).view(3, 1, 1)
        self.register_buffer("deviation", deviation, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Uint8 `[B, 1 or 3, H, W]` to float32 `[B, 3, H, W]`; levels are grey."""
        return (pixels.float() / 255 - self.mean) / self.deviation


class Frozen(nn.Module):
    """A network that answers and does not learn, nor takes part in batch statistics."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Stay as in use, whatever the rest of the network does."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """What the network says."""
        found: Tensor = self.body(images)
        return found


class MeanOverTime(nn.Module):
    """The mean of a feature map over time, all frequencies in one row."""

    def forward(self, features: Tensor) -> Tensor:
        """`[B, channels, frequency, time]` to `[B, channels * frequency]`."""
        return features.mean(dim=3).flatten(1)


class Recurrent(nn.Module):
    """A GRU (Cho et al. 2014) over time in both directions, and the mean of what it says."""

    def __init__(self, n_in: int, width: int) -> None:
        super().__init__()
        self.gru = nn.GRU(n_in, width, batch_first=True, bidirectional=True)

    def forward(self, features: Tensor) -> Tensor:
        """`[B, channels, frequency, time]` to `[B, 2 * width]`."""
        columns = features.flatten(1, 2).mT.contiguous()  # [B, time, channels * frequency]
        return self.gru(columns)[0].mean(dim=1)


def block(n_in: int, n_out: int, convs: int) -> nn.Sequential:
    """Convolutions from `n_in` to `n_out` channels, then halve height and width."""
    layers: list[nn.Module] = []
    for i in range(convs):
        layers += [
            nn.Conv2d(n_in if i == 0 else n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.MaxPool2d(2))
