"""What waits of runs whose store was gone: sent, and the runs brought to their end."""

import logging
from pathlib import Path

from genre_mlflow.errors import ModelError
from genre_mlflow.files.words import counted
from genre_mlflow.jobs.outcome import Outcome
from genre_mlflow.jobs.train import train
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking import commands
from genre_mlflow.tracking.outages import BESIDE, is_passing, why
from genre_mlflow.tracking.outbox import WAITING, Head, Outbox, waiting_folder, waiting_runs
from genre_mlflow.tracking.run import KILLED, RUNNING
from genre_mlflow.tracking.sender import Delivery, find_run
from genre_mlflow.tracking.sessions import checkpoint_folder, hold
from genre_mlflow.tracking.store import environment, find_store, store_errors
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.history import EpochResult

logger = logging.getLogger(__name__)


def find_waiting(which: str = "") -> list[str]:
    """Ids of the runs to send: all of which anything waits, or one, by its id or a folder of it.

    Raises `ModelError` for a run that has no folder here.
    """
    if not which:
        return waiting_runs()
    path = Path(which)
    named = path.absolute().parent.name if path.name == WAITING else path.name
    if not checkpoint_folder(named).is_dir():
        raise ModelError(
            f"nothing of a run {named!r} lies in {checkpoint_folder(named).parent}; give a run's "
            "id or its folder there, and set GENRE_HOME as it was for the training"
        )
    return [named] if Outbox(waiting_folder(named)).is_needed else []


def sync(run_id: str) -> Outcome | None:
    """Send what waits of a run; evaluate and register it where its training has ended.

    It may be cut off at any moment and given again. None where the training has not ended: such a
    run is KILLED, unless `train --resume` goes on with it. Raises `ModelError`.
    """
    find_store()
    outbox = Outbox(waiting_folder(run_id))
    with hold(run_id), environment(BESIDE):
        send_epochs(run_id, outbox)
        if not outbox.is_trained:
            end_stopped(run_id)
            outbox.close()
            return None
    outcome = train(TrainOptions(), experiment="", resume=run_id)
    if outcome.unsent:
        raise ModelError(f"the MLflow store has failed again; the rest waits in {outcome.unsent}")
    return outcome


def send_epochs(run_id: str, outbox: Outbox) -> None:
    """Send all epochs in order. Raises `ModelError` where the store fails in the middle."""
    head, epochs = Head.read(outbox.folder), outbox.epochs()
    if head.run_id != run_id:
        raise ModelError(f"{outbox.folder} holds what waits of run {head.run_id}, not of {run_id}")
    delivery, history = Delivery(head, outbox), history_of(run_id)
    for sent, epoch in enumerate(epochs):
        try:
            with store_errors():
                delivery.deliver(epoch, history)
        except (ModelError, OSError) as error:
            cause = error.__cause__ or error
            if isinstance(cause, Exception) and is_passing(cause):
                raise ModelError(
                    f"the MLflow store has failed ({why(cause)}) after {sent} of "
                    f"{counted(len(epochs), 'epoch')}; the rest still waits, give the command again"
                ) from error
            raise
    logger.info("Run %s: %s sent", run_id, counted(len(epochs), "epoch"))


def history_of(run_id: str) -> list[EpochResult]:
    """All epochs of a run, from its checkpoint. Raises `TrainingError` for a damaged one."""
    state = CheckpointFolder(checkpoint_folder(run_id)).load_state() or {"history": []}
    return [EpochResult.from_dict(values) for values in state["history"]]


def end_stopped(run_id: str) -> None:
    """Close a run whose process has ended while the store was gone."""
    with store_errors():
        run = find_run(Head.read(waiting_folder(run_id)))
        if run.status == RUNNING:
            run.terminate(KILLED)
    logger.info("Its training has not ended. Go on with: %s", commands.resume(run_id, owned=True))
