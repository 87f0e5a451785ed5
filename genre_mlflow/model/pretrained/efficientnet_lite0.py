"""EfficientNet-Lite0: EfficientNet-B0 (arXiv:1905.11946) without squeeze-and-excitation, by ReLU6.

As the original in TensorFlow, with its padding: what an even size needs more stands at the end.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from genre_mlflow.model.pretrained.loading import loaded

EPSILON = 1e-3
MIDDLE, RANGE = 127.0, 128.0  # pixels of 0 to 255 are scaled by
STEM, HEAD, N_CLASSES = 32, 1280, 1000
FEATURE_BLOCKS = (4, 7, 10, 14)  # counted from 0; the last of their stages, 40 to 192 channels


class Stage(NamedTuple):
    """Blocks of one width; the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    width: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """A convolution whose output has the input's size, divided by the stride and rounded up."""

    def forward(self, input: Tensor) -> Tensor:
        """`[B, in, height, width]`."""
        sides = []
        for size, kernel, stride in zip(
            input.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            spare = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            sides += [spare // 2, spare - spare // 2]
        return super().forward(functional.pad(input, sides))


def layer(
    n_in: int, n_out: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """A convolution and its batch norm."""
    conv = SameConv(n_in, n_out, kernel, stride, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(n_out, eps=EPSILON)]


class Block(nn.Module):
    """Expand the channels, filter each, project them; added to the input where the shape allows."""

    def __init__(self, n_in: int, stage: Stage, stride: int) -> None:
        super().__init__()
        n_wide = n_in * stage.expand
        self.expand = (
            nn.Sequential(*layer(n_in, n_wide), nn.ReLU6()) if stage.expand > 1 else nn.Identity()
        )
        self.depthwise = nn.Sequential(
            *layer(n_wide, n_wide, stage.kernel, stride, n_wide), nn.ReLU6()
        )
        self.project = nn.Sequential(*layer(n_wide, stage.width))
        self.is_residual = stride == 1 and n_in == stage.width

    def forward(self, x: Tensor) -> Tensor:
        """`[B, in, H, W]` to `[B, width, H / stride, W / stride]`."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.is_residual else y


class EfficientNetLite0(nn.Module):
    """Pixels `[B, 3, H, W]`, 0 to 255, to logits of ImageNet's classes, `[B, 1000]`.

    The original is for 224 by 224 pixels; any other size is taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*layer(3, STEM, 3, 2), nn.ReLU6())
        blocks, width = [], STEM
        for stage in STAGES:
            for i in range(stage.repeats):
                blocks.append(Block(width, stage, 1 if i else stage.stride))
                width = stage.width
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Sequential(*layer(width, HEAD), nn.ReLU6())
        self.dropout = nn.Dropout(0.2)
        self.classes = nn.Linear(HEAD, N_CLASSES)

    def forward(self, pixels: Tensor) -> Tensor:
        """The logits."""
        (last,) = self.features(pixels, (len(self.blocks) - 1,))
        return self.classes(self.dropout(self.head(last).mean(dim=(2, 3))))

    def features(self, pixels: Tensor, blocks: Sequence[int] = FEATURE_BLOCKS) -> list[Tensor]:
        """What comes out of some blocks, `[B, channels, height, width]` each, in their order.

        No later block is computed. For 224 pixels and `FEATURE_BLOCKS`: 40 channels of 28 by 28
        pixels, 80 and 112 of 14 by 14, 192 of 7 by 7.
        """
        x, found = self.stem((pixels.float() - MIDDLE) / RANGE), []
        for i, block in enumerate(self.blocks[: max(blocks) + 1]):
            x = block(x)
            if i in blocks:
                found.append(x)
        return found


def load_efficientnet_lite0(weights: Path) -> EfficientNetLite0:
    """The network with the weights of a file that `store.weights_file` names, to evaluate.

    Raises `ModelError`.
    """
    return loaded(EfficientNetLite0(), weights)
