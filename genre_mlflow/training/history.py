"""What an epoch yields, and what a run's epochs say together."""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

Confusion = list[list[int]]  # [genre, predicted genre], counts


@dataclass(frozen=True)
class PassResult:
    """One pass over one split: mean loss, and counts of genre against predicted genre."""

    loss: float
    confusion: Confusion

    @property
    def accuracy(self) -> float:
        """Share of tracks on the diagonal, 0 to 1."""
        matrix = np.asarray(self.confusion)
        return float(np.trace(matrix) / matrix.sum())


@dataclass(frozen=True)
class EpochResult:
    """One epoch, counted from 1.

    `train` is measured while the weights change and with dropout on, `val` at the end of the
    epoch. `seconds` and `images_per_s` are of training and validation together; `finished_ms` is
    Unix time.
    """

    epoch: int
    train: PassResult
    val: PassResult
    lr: float
    seconds: float
    images_per_s: float
    finished_ms: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Undo `to_dict`."""
        parts = {name: PassResult(**values[name]) for name in ("train", "val")}
        return cls(**{**values, **parts})


def best_epoch(history: list[EpochResult]) -> EpochResult:
    """The epoch with the least validation loss; of equals, the first.

    On few tracks accuracy goes up and down by chance where the loss says what has changed.
    """
    return min(history, key=lambda result: result.val.loss)


def epochs_since_best(history: list[EpochResult]) -> int:
    """Epochs that have gone by since validation loss last fell; 0 for an empty history."""
    return len(history) - best_epoch(history).epoch if history else 0
