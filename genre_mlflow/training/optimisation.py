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


def make_average(network: nn.Module, decay: float) -> AveragedModel | None:
    """The mean of the network's weights over its steps, older ones weighing less; None for 0.

    The first steps weigh less still, by (1 + n) / (10 + n), as TensorFlow's
    `ExponentialMovingAverage` has it.
    """
    if not decay:
        return None

    def blended(mean: Tensor, now: Tensor, _: Tensor | int) -> Tensor:
        if not mean.is_floating_point():
            return now
        n = int(average.n_averaged)  # which lies on the processor: the one given makes it wait
        return torch.lerp(mean, now, 1 - min(decay, (1 + n) / (10 + n)))

    average = AveragedModel(network, avg_fn=blended, use_buffers=True)
    return average


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
