"""What is kept with a trial in Optuna, epoch by epoch, and how one that has ended is told."""

import time
from collections.abc import Sequence
from pathlib import Path

from optuna.exceptions import TrialPruned
from optuna.trial import FrozenTrial, Trial, TrialState

from genre_mlflow.tracking.run import FAILED, FINISHED, KILLED
from genre_mlflow.tracking.study import TrialEnd
from genre_mlflow.training.history import EpochResult, best_epoch
from genre_mlflow.training.observer import Observer

WORKER_DIED = "its worker died"
# User attributes of a trial.
RUN_ID, ERROR, ASKED, WORKER, BEST_EPOCH = "run_id", "error", "asked", "worker", "best_epoch"
ENDS = {TrialState.COMPLETE: FINISHED, TrialState.PRUNED: KILLED, TrialState.FAIL: FAILED}


class Report(Observer):
    """Tells Optuna each epoch's validation accuracy, and ends the trial when Optuna says so."""

    def __init__(self, trial: Trial, reported: set[int], epochs: int) -> None:
        self.trial, self.reported, self.epochs = trial, reported, epochs
        self.history: list[EpochResult] = []

    def on_train_begin(self, history: Sequence[EpochResult], epochs: int) -> None:
        """The epochs of a trial that goes on; its last one comes again."""
        self.history = list(history[:-1])

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """Report and ask. Epochs that a cut-off trial has reported before are not repeated."""
        self.history.append(result)
        best = best_epoch(self.history).epoch
        if self.trial.user_attrs.get(BEST_EPOCH) != best:
            self.trial.set_user_attr(BEST_EPOCH, best)
        if result.epoch not in self.reported:
            self.trial.report(result.val.accuracy, result.epoch)
            self.reported.add(result.epoch)
        if result.epoch < self.epochs and self.trial.should_prune():
            raise TrialPruned


def best_of(trial: FrozenTrial) -> tuple[int, float] | None:
    """Best epoch of a trial and its validation accuracy, None before its first.

    The epoch is the one that training itself has named: of equal accuracies the least loss counts,
    which Optuna is not told.
    """
    epoch = trial.user_attrs.get(BEST_EPOCH)
    if epoch not in trial.intermediate_values:
        return None
    return epoch, trial.intermediate_values[epoch]


def trial_end(trial: FrozenTrial, why: str) -> TrialEnd:
    """How a trial ended, in MLflow's terms; `why` is for one that was cut off."""
    epoch, accuracy = best_of(trial) or (None, None)
    tags = {}
    if trial.state == TrialState.PRUNED:
        tags = {"pruned": str(trial.last_step)}
    elif trial.state == TrialState.FAIL:
        tags = {"error": str(trial.user_attrs.get(ERROR, why))}
    ended = trial.datetime_complete
    finished_ms = int((ended.timestamp() if ended else time.time()) * 1000)
    return TrialEnd(ENDS[trial.state], tags, epoch, accuracy, finished_ms)


def outcome(trial: FrozenTrial) -> str:
    """The end of a trial for people."""
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    if trial.state == TrialState.COMPLETE:
        return f"complete  {trial.value:6.1%}  {seconds:6.1f} s"
    if trial.state == TrialState.PRUNED:
        best = max(trial.intermediate_values.values())
        return f"pruned at epoch {trial.last_step}  {best:.1%}  {seconds:.1f} s"
    return f"failed: {trial.user_attrs.get(ERROR, WORKER_DIED)}"
