"""What is kept with a trial in Optuna, and how one that has ended is told."""

import time

from optuna.trial import FrozenTrial, TrialState

from genre_mlflow.tracking.run import FAILED, FINISHED, KILLED
from genre_mlflow.tracking.study import TrialEnd

WORKER_DIED = "its worker died"
# User attributes of a trial.
RUN_ID, ERROR, ASKED, WORKER, BEST_EPOCH = "run_id", "error", "asked", "worker", "best_epoch"
ENDS = {TrialState.COMPLETE: FINISHED, TrialState.PRUNED: KILLED, TrialState.FAIL: FAILED}


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
