"""Layers that several families of networks share."""

from torch import Tensor, nn


class Scale(nn.Module):
    """Pixels of 0 to 255, uint8, to -1 to 1, float32."""

    def forward(self, pixels: Tensor) -> Tensor:
        """Same shape in and out."""
        return pixels.float() / 127.5 - 1.0


class Colours(nn.Module):
    """Three channels for networks that are made for colours; levels are grey."""

    def forward(self, pixels: Tensor) -> Tensor:
        """`[B, 1 or 3, H, W]` to `[B, 3, H, W]`, no copy."""
        return pixels.expand(-1, 3, -1, -1)


class MeanOverTime(nn.Module):
    """The mean of a feature map over time, all frequencies in one row."""

    def forward(self, features: Tensor) -> Tensor:
        """`[B, channels, frequency, time]` to `[B, channels * frequency]`."""
        return features.mean(dim=3).flatten(1)
