"""Layers that several families of networks share."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from genre_mlflow.features.settings import Shape
from genre_mlflow.model.family import PATCH, TEXTURES
from genre_mlflow.model.statistics import FAINT, cosines

TINY = 1e-5  # below which a variance counts as none
N_CROPS = 3
AT_ONCE = 32  # crops of so many are read together: of few pictures, that is a third faster
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


class Textures(nn.Module):
    """How much of each pattern of cosines every patch of 8 by 8 pixels holds, in logarithms.

    A fixed first layer, after which less is left to learn from few tracks (Oyallon et al. 2017,
    arXiv:1703.08961, with wavelets).
    """

    kernels: Tensor

    def __init__(self) -> None:
        super().__init__()
        pattern = cosines(PATCH, PATCH)
        kernels = torch.einsum("ih,jw->ijhw", pattern, pattern).reshape(-1, 1, PATCH, PATCH)
        self.register_buffer("kernels", kernels, persistent=False)
        self.norm = nn.BatchNorm2d(PATCH**2, affine=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Levels 0 to 255, `[B, 1, H, W]`, to float32 `[B, 64, H // 8, W // 8]`."""
        found = functional.conv2d(pixels.float() / 255, self.kernels, stride=PATCH)
        normed: Tensor = self.norm((found.abs() + FAINT).log())
        return normed


class OverTime(nn.Module):
    """The mean of a feature map over time, and its deviation if asked, frequencies kept apart."""

    def __init__(self, *, with_deviation: bool) -> None:
        super().__init__()
        self.with_deviation = with_deviation

    def forward(self, features: Tensor) -> Tensor:
        """`[B, channels, frequency, time]` to `[B, channels * frequency]`, or twice as many."""
        mean = features.mean(dim=3).flatten(1)
        if not self.with_deviation:
            return mean
        variance = features.var(dim=3, correction=0).flatten(1)
        return torch.cat([mean, (variance + TINY).sqrt()], dim=1)


class Crops(nn.Module):
    """Reads a part of the time: one of chance to learn from, several of the same length to answer.

    To answer, the logarithms of the probabilities of `N_CROPS` crops, evenly spaced, are averaged.
    """

    def __init__(self, body: nn.Module, share: float) -> None:
        super().__init__()
        self.body, self.share = body, share
        self.at_once: int | None = AT_ONCE  # None: all

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits `[B, genres]` of `[B, C, H, W]`."""
        if self.training:
            width = crop_width(self.share, pixels.shape[3])
            # One place for the batch, drawn on the processor: no device has to be waited for.
            start = int(torch.randint(pixels.shape[3] - width + 1, ()))
            found: Tensor = self.body(pixels[..., start : start + width])
            return found
        crops = self.spread(pixels)
        if self.at_once is None or len(crops) * len(pixels) <= self.at_once:
            answers = self.body(torch.cat(crops)).unflatten(0, (len(crops), -1))
        else:
            answers = torch.stack([self.body(crop) for crop in crops])
        return answers.log_softmax(dim=2).mean(dim=0)

    def spread(self, pixels: Tensor) -> list[Tensor]:
        """The crops that answer, `[B, C, H, columns]` each."""
        return [pixels[..., columns] for columns in self.places(pixels.shape[3])]

    def places(self, n_columns: int) -> list[slice]:
        """The columns of each of them, of so many."""
        width = crop_width(self.share, n_columns)
        room = n_columns - width
        starts = sorted({round(i * room / (N_CROPS - 1)) for i in range(N_CROPS)})
        return [slice(start, start + width) for start in starts]


def crop_width(share: float, width: int) -> int:
    """Columns of a crop of this share of so many."""
    return math.ceil(share * width)


class Fused(nn.Module):
    """What is fitted at once, and a network that learns beside it; they answer together.

    While it learns, the network answers alone: what is fitted has seen the training tracks, and
    would leave it nothing to learn. `share`: the weight of what is fitted in the answer, 0 to 1.
    """

    def __init__(self, fitted: nn.Module, learnt: nn.Module, share: float) -> None:
        super().__init__()
        self.fitted, self.learnt, self.share = fitted, learnt, share

    def forward(self, pixels: Tensor, said: Tensor | None = None) -> Tensor:
        """Logits `[B, genres]`; `said`: what `fitted` says of these pixels, where it is known."""
        answer: Tensor = self.learnt(pixels)
        if self.training:
            return answer
        said = self.fitted(pixels) if said is None else said
        return self.share * said.log_softmax(1) + (1 - self.share) * answer.log_softmax(1)


class Recurrent(nn.Module):
    """A GRU (Cho et al. 2014) over time in both directions, and the mean of what it says."""

    def __init__(self, n_in: int, width: int) -> None:
        super().__init__()
        self.gru = nn.GRU(n_in, width, batch_first=True, bidirectional=True)

    def forward(self, features: Tensor) -> Tensor:
        """`[B, channels, frequency, time]` to `[B, 2 * width]`."""
        columns = features.flatten(1, 2).mT.contiguous()  # [B, time, channels * frequency]
        return self.gru(columns)[0].mean(dim=1)


class Committee(nn.Module):
    """Networks that answer together, by the mean of the logarithms of their probabilities.

    While they learn, each answers for itself.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits `[B, genres]`; while they learn, `[members, B, genres]`."""
        answers = torch.stack([one(pixels) for one in self.members])
        return answers if self.training else answers.log_softmax(dim=2).mean(dim=0)


def together(members: Sequence[nn.Module]) -> nn.Module:
    """These networks as one."""
    return Committee(members) if len(members) > 1 else members[0]


def learnt_part(network: nn.Module) -> tuple[nn.Module, float]:
    """What learns in epochs, and its weight in the answer, above 0 to 1."""
    if isinstance(network, Fused):
        return network.learnt, 1 - network.share
    if isinstance(network, Committee):
        parts, weights = zip(*map(learnt_part, network.members), strict=True)
        return Committee(parts).train(network.training), sum(weights) / len(weights)
    return network, 1.0


def readers(network: nn.Module, n_columns: int) -> Iterator[tuple[nn.Module, slice]]:
    """The networks of whose answers an answer is the mean, and the columns that each is given.

    Of `n_columns` in all; a network that is given several crops comes once for each.
    """
    if isinstance(network, Committee):
        for member in network.members:
            yield from readers(member, n_columns)
    elif isinstance(network, Crops):
        for columns in network.places(n_columns):
            yield network.body, columns
    else:
        yield network, slice(0, n_columns)


def stem_and_blocks(
    stem: str, widths: Sequence[int], convs: int, shape: Shape
) -> tuple[dict[str, nn.Module], int]:
    """The first layers of a network by name, and the rows of their map `[B, widths[-1], rows, T]`.

    `T` is the input's width, over 8 for textures, or halved by each block for pixels.
    """
    channels, height, _ = shape
    first: nn.Module = Scale()
    pooled = (2, 2)
    if stem == TEXTURES:
        # A column of textures is 0.6 s of 30 s: time is not to be blurred any more.
        first, pooled = Textures(), (2, 1)
        channels, height = PATCH**2, height // PATCH
    blocks = (block(n_in, n_out, convs, pooled) for n_in, n_out in pairwise((channels, *widths)))
    return {"stem": first, "blocks": nn.Sequential(*blocks)}, height >> len(widths)


def block(n_in: int, n_out: int, convs: int, pooled: tuple[int, int] = (2, 2)) -> nn.Sequential:
    """Convolutions from `n_in` to `n_out` channels, then the maximum of rows and columns."""
    layers: list[nn.Module] = []
    for i in range(convs):
        layers += [
            nn.Conv2d(n_in if i == 0 else n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.MaxPool2d(pooled))
