"""What is kept with a trial in Optuna as it goes, and how one that has ended is told."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optuna.exceptions import TrialPruned
from optuna.trial import FrozenTrial, Trial, TrialState

from genre_mlflow.tracking.run import FAILED, FINISHED, KILLED
from genre_mlflow.tracking.study import TrialEnd
from genre_mlflow.training.history import EpochResult, best_epoch
from genre_mlflow.training.observer import Observer

WORKER_DIED = "its worker died"
# User attributes of a trial.
RUN_ID, ERROR, ASKED, WORKER, BEST = "run_id", "error", "asked", "worker", "best"
ENDS = {TrialState.COMPLETE: FINISHED, TrialState.PRUNED: KILLED, TrialState.FAIL: FAILED}


@dataclass(frozen=True)
class Best:
    """The best of a trial so far: of its epochs, or the mean over the folds that are done.

    `val_accuracy` is 0 to 1, `epoch` None for folds.
    """

    val_loss: float
    val_accuracy: float
    epoch: int | None

    def plain(self) -> dict[str, Any]:
        """For a user attribute."""
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """For MLflow, by name."""
        values = {"best_val_loss": self.val_loss, "best_val_accuracy": self.val_accuracy}
        return values | ({"best_epoch": float(self.epoch)} if self.epoch else {})


class Report(Observer):
    """Tells Optuna each epoch's validation loss, and ends the trial when Optuna says so."""

    def __init__(self, trial: Trial, reported: set[int], epochs: int) -> None:
        self.trial, self.reported, self.epochs = trial, reported, epochs
        self.history: list[EpochResult] = []

    def on_train_begin(self, history: Sequence[EpochResult], epochs: int) -> None:
        """The epochs of a trial that goes on; its last one comes again."""
        self.history = list(history[:-1])

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """Report and ask. Epochs that a cut-off trial has reported before are not repeated."""
        self.history.append(result)
        found = best_epoch(self.history)
        best = Best(found.val.loss, found.val.accuracy, found.epoch).plain()
        if self.trial.user_attrs.get(BEST) != best:
            self.trial.set_user_attr(BEST, best)
        if result.epoch not in self.reported:
            self.trial.report(result.val.loss, result.epoch)
            self.reported.add(result.epoch)
        if result.epoch < self.epochs and self.trial.should_prune():
            raise TrialPruned


def best_of(trial: FrozenTrial) -> Best | None:
    """The best of a trial, as training itself has named it; None before its first epoch or fold."""
    kept = trial.user_attrs.get(BEST)
    return Best(kept["val_loss"], kept["val_accuracy"], kept["epoch"]) if kept else None


def trial_end(trial: FrozenTrial, why: str) -> TrialEnd:
    """How a trial ended, in MLflow's terms; `why` is for one that was cut off."""
    best = best_of(trial)
    tags = {}
    if trial.state == TrialState.PRUNED:
        tags = {"pruned": str(trial.last_step)}
    elif trial.state == TrialState.FAIL:
        tags = {"error": str(trial.user_attrs.get(ERROR, why))}
    ended = trial.datetime_complete
    finished_ms = int((ended.timestamp() if ended else time.time()) * 1000)
    values = best.metrics() if best else {}
    return TrialEnd(ENDS[trial.state], tags, values, best_step(best), finished_ms)


def best_step(best: Best | None) -> int:
    """The step in MLflow of what is best: its epoch, where it is one."""
    return (best.epoch or 0) if best else 0


def outcome(trial: FrozenTrial) -> str:
    """The end of a trial for people."""
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    best = best_of(trial)
    how_good = f"{best.val_loss:.4f}  {best.val_accuracy:6.1%}" if best else "nothing measured"
    if trial.state == TrialState.COMPLETE:
        return f"complete  {how_good}  {seconds:6.1f} s"
    if trial.state == TrialState.PRUNED:
        return f"pruned after {trial.last_step}  {how_good}  {seconds:.1f} s"
    return f"failed: {trial.user_attrs.get(ERROR, WORKER_DIED)}"
