"""Epochs go into the store beside the training, in order; while it is gone they wait on disk."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow

from genre_mlflow import signals
from genre_mlflow.errors import ModelError
from genre_mlflow.files.words import counted
from genre_mlflow.tracking.addresses import hidden
from genre_mlflow.tracking.observer import RunTracker
from genre_mlflow.tracking.outages import BESIDE, is_passing, why
from genre_mlflow.tracking.outbox import ROOM, Head, Outbox, waiting_folder
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.store import environment
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.observer import Observer

AGAIN_S = 5.0  # between two attempts; each epoch makes one, too
LOOK_S = 0.2  # how often waiting for the store looks for a signal
PATIENCE_S = 600.0  # for the next epoch to arrive when the last one is trained
HASTE_S = 2.0  # for what waits when a training is stopped

logger = logging.getLogger(__name__)


class Delivery:
    """Writes epochs that wait into a run; one that was cut off is read back before its repetition.

    A request may have arrived although its answer was lost: MLflow drops a second point that is
    the same as the first, images are removed, and a checkpoint that is there is written over.
    """

    def __init__(self, head: Head, outbox: Outbox) -> None:
        self.head, self.outbox = head, outbox
        self.tracker: RunTracker | None = None

    def deliver(self, epoch: int, history: Sequence[EpochResult]) -> None:
        """Write an epoch, and take it from the outbox; `history`: at least all epochs before."""
        result = self.outbox.read(epoch)
        before = [one for one in history if one.epoch < epoch]
        tracker = self.tracker
        self.tracker = None  # whatever happens now, what is there must be looked at again
        if tracker is None or epoch in {one.epoch for one in tracker.history}:
            tracker = self.read_back([*before, result])
        known = {one.epoch for one in tracker.history}
        tracker.history += [one for one in before if one.epoch not in known]  # had no room to wait
        tracker.on_epoch_end(result, self.outbox.weights(epoch))
        self.outbox.remove(epoch)
        self.tracker = tracker

    def read_back(self, history: Sequence[EpochResult]) -> RunTracker:
        """A tracker that knows what the store has. Raises `ModelError` where the run is gone."""
        run = find_run(self.head)
        tracker = RunTracker(run, self.head.classifier, self.head.keep)
        tracker.on_train_begin(history, len(history))
        return tracker


def find_run(head: Head) -> TrackedRun:
    """The run that epochs belong to. Raises `ModelError` where it is deleted, or elsewhere."""
    try:
        run = TrackedRun.find(head.run_id)
    except ModelError as error:
        raise ModelError(
            f"run {head.run_id} is not in the store {hidden(mlflow.get_tracking_uri())}; it was "
            f"begun in {head.store}: set MLFLOW_TRACKING_URI to that"
        ) from error
    if run.is_deleted:
        raise ModelError(f"run {run.id} was deleted; restore it with: {run.restore_command()}")
    name, digest = head.dataset or ("", "")
    run.dataset = (name, digest) if digest else None
    return run


class Sender(Observer):
    """Keeps each epoch on disk, and has a thread of its own deliver them."""

    def __init__(self, head: Head, outbox: Outbox, weights_bytes: int = 0) -> None:
        self.head, self.outbox, self.weights_bytes = head, outbox, weights_bytes
        self.delivery = Delivery(head, outbox)
        self.history: list[EpochResult] = []
        self.begun = 0  # epochs that there were when this process began
        self.fault: BaseException | None = None  # for good, as of a run that somebody has deleted
        self.outage = ""
        self.attempts = self.failed = 0  # number of the last one, and of the last that failed
        self.is_closing = self.is_over = False
        self.bell = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True, name="mlflow-sender")

    def on_train_begin(self, history: Sequence[EpochResult], epochs: int) -> None:
        """Begin with what waits of a run that is resumed."""
        self.history, self.begun = list(history[:-1]), len(history)
        self.outbox.open(self.head)
        check_room(self.outbox, self.weights_bytes, epochs - len(history))
        self.thread.start()
        self.bell.set()

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """Keep the epoch; the disk may be full, which must not stop the training."""
        self.check()
        self.history.append(result)
        if result.epoch > self.begun:
            self.outbox.mark_begun()
        try:
            if not self.outbox.put(result, weights):
                logger.warning(
                    "Epoch %d: no room on the disk, its weights are not sent", result.epoch
                )
        except OSError as error:
            logger.warning("Epoch %d is not sent: %s", result.epoch, error.strerror or error)
        self.bell.set()

    def check(self) -> None:
        """Raise what no waiting will mend."""
        if self.fault:
            raise self.fault

    def work(self) -> None:
        """Deliver what waits, at each ring, and during an outage from time to time."""
        while not self.fault:
            self.bell.wait(AGAIN_S if self.outage else None)
            self.bell.clear()
            if not (self.is_closing and self.outage):  # no last attempt of a store that is gone
                self.attempt()
            if self.is_closing:
                return

    def attempt(self) -> None:
        """Deliver all that waits, as far as the store answers."""
        self.attempts += 1
        try:
            for epoch in self.outbox.epochs():
                if self.is_over:
                    return
                self.delivery.deliver(epoch, list(self.history))
        except BaseException as error:  # whatever it is, the training must hear of it
            if isinstance(error, Exception) and is_passing(error):
                self.note_outage(error)
            else:
                self.fault = error
            self.failed = self.attempts
            return
        if self.outage:
            self.outage = ""
            logger.info("The MLflow store is back; what waited has been sent")

    def note_outage(self, error: Exception) -> None:
        """Say once that the store does not answer."""
        if not self.outage:
            logger.warning(
                "The MLflow store does not answer (%s); training goes on, epochs wait in %s",
                why(error), self.outbox.folder,
            )  # fmt: skip
        self.outage = why(error)

    def flush(self) -> bool:
        """Wait until all is sent, as long as the store answers; whether it is.

        A signal ends the waiting, and so does a store that takes no epoch for minutes. Raises what
        no waiting will mend.
        """
        start, left, moved = self.attempts, len(self.outbox.epochs()), time.monotonic()
        if left > 1:
            logger.info("%s still to be sent", counted(left, "epoch"))
        self.bell.set()
        while self.thread.is_alive() and self.outbox.epochs() and self.failed <= start:
            signals.check()
            self.thread.join(LOOK_S)
            if len(self.outbox.epochs()) < left:
                left, moved = len(self.outbox.epochs()), time.monotonic()
            elif time.monotonic() - moved > PATIENCE_S:
                break
        self.check()
        return not self.outbox.epochs()

    def close(self) -> None:
        """End the thread; what it has not sent in a moment stays on disk."""
        self.is_closing = True
        self.bell.set()
        if self.thread.is_alive():
            self.thread.join(HASTE_S)
        self.is_over = True  # it begins no other epoch


@contextmanager
def sending(
    run: TrackedRun, classifier_config: Mapping[str, Any], keep: str, weights_bytes: int = 0
) -> Iterator[Sender]:
    """Who writes the epochs of a run while the block runs; `weights_bytes`: of one epoch."""
    head = Head(
        run.id, hidden(mlflow.get_tracking_uri()), dict(classifier_config), keep, run.dataset or ()
    )
    sender = Sender(head, Outbox(waiting_folder(run.id)), weights_bytes)
    with environment(BESIDE):
        try:
            yield sender
        finally:
            with signals.undisturbed():
                sender.close()


def check_room(outbox: Outbox, weights_bytes: int, epochs: int) -> None:
    """Say how many epochs could wait, where the disk has no room for all of them."""
    free = outbox.free
    fit = max(0, free // max(1, weights_bytes) - ROOM)
    if fit < epochs:
        logger.warning(
            "%.0f MB are free in %s: if the MLflow store goes away, the weights of %s can wait",
            free / 1e6, outbox.folder.parent, counted(fit, "epoch"),
        )  # fmt: skip
