"""Who is told about a training while it runs."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from genre_mlflow import signals
from genre_mlflow.training.history import EpochResult


class Observer:
    """Hooks of `fit`; all do nothing here. A hook that raises ends the training."""

    def on_train_begin(self, history: Sequence[EpochResult], epochs: int) -> None:
        """Before the first batch; `history` holds the epochs of a run that is resumed."""

    def on_batch_end(self, part: str, done: int, total: int) -> None:
        """After each batch of `part`, which is `train` or `val`; counted in items."""

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """After the epoch's checkpoint is on disk.

        It comes again for the last epoch of a run that is resumed, since the process may have
        died in the midst of it.
        """


class StopBetweenSteps(Observer):
    """Ends the training after a batch when a signal has asked for it."""

    def on_train_begin(self, history: Sequence[EpochResult], epochs: int) -> None:
        """Before the first batch."""
        signals.check()

    def on_batch_end(self, part: str, done: int, total: int) -> None:
        """After each batch."""
        signals.check()


class Observers(Observer):
    """Several observers as one; each hook reaches them in the order given."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self.observers = tuple(observers)

    def on_train_begin(self, history: Sequence[EpochResult], epochs: int) -> None:
        """Tell every observer."""
        for observer in self.observers:
            observer.on_train_begin(history, epochs)

    def on_batch_end(self, part: str, done: int, total: int) -> None:
        """Tell every observer."""
        for observer in self.observers:
            observer.on_batch_end(part, done, total)

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """Tell every observer."""
        for observer in self.observers:
            observer.on_epoch_end(result, weights)
