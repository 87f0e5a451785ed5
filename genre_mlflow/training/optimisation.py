"""Optimiser, learning-rate schedule and loss weights, made from the training settings."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from genre_mlflow.training.settings import TrainingSettings

WARM_UP = 0.3  # share of the steps in which one-cycle rises (Smith 2018, arXiv:1803.09820)
FIRST_FACTOR, LAST_FACTOR = 1 / 25, 1e-4
DECAY = 0.2  # share of the steps in which stable-decay falls


def make_optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019) over all parameters of the network.

    Norms and biases, which have one axis, do not decay.
    """
    parameters = list(network.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.dim() > 1]},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay)


class Average(AveragedModel):
    """The mean of a network's weights over its steps, older ones weighing less.

    The first steps weigh less still, by (1 + n) / (10 + n), as TensorFlow's
    `ExponentialMovingAverage` has it. All weights are averaged in one call, by a count that lies on
    the processor: torch's own update copies that to the device for each of them, and waits.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__(network, use_buffers=True)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take a step's weights into the mean; the first are the mean, and so are whole numbers."""
        n = int(self.n_averaged)
        pairs = list(zip(arrays_of(self.module), arrays_of(model), strict=True))
        blended = [pair for pair in pairs if n and pair[0].is_floating_point()]
        for mean, now in pairs:
            if not n or not mean.is_floating_point():
                mean.copy_(now)
        if blended:
            means, weights = ([pair[side] for pair in blended] for side in (0, 1))
            torch._foreach_lerp_(means, weights, 1 - min(self.decay, (1 + n) / (10 + n)))
        self.n_averaged += 1


def arrays_of(network: nn.Module) -> list[Tensor]:
    """Weights and buffers of a network."""
    return [*network.parameters(), *network.buffers()]


def make_average(network: nn.Module, decay: float) -> Average | None:
    """The mean of the network's weights over its steps; None for a decay of 0."""
    return Average(network, decay) if decay else None


def make_schedule(
    optimizer: torch.optim.Optimizer, name: str, total_steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Schedule that is stepped once a batch.

    Its factor is a pure function of the step and the total, so that a resumed run, also one with
    more epochs, knows its place.
    """
    course = SCHEDULE_FACTORS[name]
    last = max(total_steps - 1, 1)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: course(min(step / last, 1.0)))


def one_cycle(progress: float) -> float:
    """Factor at `progress` 0 to 1: a cosine up over the first 30 %, then a cosine down to 1e-4."""
    if progress < WARM_UP:
        return blend(FIRST_FACTOR, 1.0, progress / WARM_UP)
    return blend(1.0, LAST_FACTOR, (progress - WARM_UP) / (1 - WARM_UP))


def stable_decay(progress: float) -> float:
    """Factor at `progress` 0 to 1: one, then over the last fifth a line down to zero.

    Hägele et al. 2024, arXiv:2405.18392: as good as a course that falls from the start, and what
    comes before the fall does not hang on how long the training will be.
    """
    return min(1.0, (1 - progress) / DECAY)


def blend(start: float, end: float, share: float) -> float:
    """From `start` to `end` along half a cosine; `share` is 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


SCHEDULE_FACTORS: dict[str, Callable[[float], float]] = {
    "none": lambda progress: 1.0,
    "cosine": lambda progress: blend(1.0, 0.0, progress),
    "one-cycle": one_cycle,
    "stable-decay": stable_decay,
}


def class_weights(labels: Tensor, n_genres: int, kind: str) -> Tensor:
    """Weight of each genre in the loss, `[genres]`, with a mean of 1 over the tracks."""
    if kind == "none":
        return torch.ones(n_genres)
    counts = torch.bincount(labels, minlength=n_genres).clamp(min=1)
    return len(labels) / (n_genres * counts.float())
