"""Settings of training: what `fit` needs to know beside network and data."""

import math
from dataclasses import dataclass

from genre_mlflow.errors import SettingsError

SCHEDULES = ("none", "cosine", "one-cycle")
CLASS_WEIGHTS = ("none", "balanced")
KEEP = ("best-last", "all")
SEGMENTS = ("all", "random")


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    `lr`: (peak) learning rate of Adam; `schedule`: its course over the run; `patience`: epochs
    without a better validation accuracy before training stops, 0 for never; `class_weights`:
    `balanced` weighs each genre by the inverse of its share; `keep`: which epochs' weights stay;
    `segments`: of a track with several, an epoch trains on all of them, or on a random one.
    """

    epochs: int = 15
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "one-cycle"
    patience: int = 0
    class_weights: str = "none"
    seed: int = 0
    keep: str = "best-last"
    segments: str = "all"

    def __post_init__(self) -> None:
        self._check_range("epochs", 1, 100_000)
        self._check_range("batch_size", 1, 65_536)
        self._check_range("weight_decay", 0, 10)
        self._check_range("patience", 0, 100_000)
        self._check_range("seed", 0, 2**32 - 1)
        if not 0 < self.lr <= 10:
            raise SettingsError(f"lr is {self.lr}; allowed are values above 0 up to 10")
        self._check_choice("schedule", SCHEDULES)
        self._check_choice("class_weights", CLASS_WEIGHTS)
        self._check_choice("keep", KEEP)
        self._check_choice("segments", SEGMENTS)

    def _check_range(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not (math.isfinite(value) and low <= value <= high):
            raise SettingsError(f"{name} is {value}; allowed are {low} to {high}")

    def _check_choice(self, name: str, allowed: tuple[str, ...]) -> None:
        if getattr(self, name) not in allowed:
            raise SettingsError(
                f"{name} is {getattr(self, name)!r}; allowed are {', '.join(allowed)}"
            )
