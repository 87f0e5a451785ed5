"""The runs of a cross-validation: one parent, and nested in it a run for each fold."""

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

import pandas as pd

from genre_mlflow import signals
from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.predictions import read_predictions, read_segments, write_predictions
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.tracking.models import PREDICTIONS_FILE
from genre_mlflow.tracking.nested import NestedRuns
from genre_mlflow.tracking.observer import epoch_metrics
from genre_mlflow.tracking.run import FINISHED, TrackedRun
from genre_mlflow.tracking.sessions import checkpoint_folder, hold
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.observer import Observer

SEGMENTS_FILE = "segments.csv"  # and folder of the classifier, among the artifacts of a fold's run
CLASSIFIER = "classifier"
FOLD = "fold"  # what `task` is, and the tag beside `repeat`
# Nothing of validation: a fold has no tracks for it.
EPOCH_METRICS = ("train_loss", "train_accuracy", "lr", "epoch_seconds")

Key = tuple[int, int]  # repeat and fold, from 1


class FoldTracker(Observer):
    """Writes what a fold has learnt in each epoch; once more for the last one of a resumed run."""

    def __init__(self, run: TrackedRun) -> None:
        self.run = run

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """Log the epoch."""
        values = epoch_metrics(result, {})
        chosen = {name: values[name] for name in EPOCH_METRICS}
        self.run.log_metrics(chosen, result.epoch, result.finished_ms)


class FoldRuns(NestedRuns):
    """The runs of the folds of one cross-validation, by repeat and fold."""

    @cached_property
    def known(self) -> dict[Key, TrackedRun]:
        """Those that were there before; of two for one fold, one that is done."""
        runs = sorted(self.children(FOLD), key=lambda run: run.status == FINISHED)
        return {(int(run.tags["repeat"]), int(run.tags[FOLD])): run for run in runs}

    def done(self, needed: Callable[[Key], Collection[str]]) -> dict[Key, pd.DataFrame]:
        """Predictions of the folds that have ended; one whose table is gone is done again.

        So is one that lacks what else is `needed` of it among its artifacts.
        """
        tables = {}
        for key, run in self.known.items():
            is_whole = run.status == FINISHED and {*needed(key)} <= {*run.artifacts()}
            table = predictions_of(run) if is_whole else None
            if table is not None:
                tables[key] = table
        return tables

    @contextmanager
    def opened(self, key: Key, params: Mapping[str, str]) -> Iterator[TrackedRun]:
        """The run of a fold, in state RUNNING while the block runs; its checkpoint goes after it.

        One that has been opened before is gone on with.
        """
        with ExitStack() as stack:
            with signals.undisturbed():
                run = self.known.get(key) or self.new_fold(*key)
                stack.enter_context(hold(run.id))  # an orphan of a killed command may be at it
                stack.enter_context(run.running(watched=False))
            run.log_params(params)
            yield run
        shutil.rmtree(checkpoint_folder(run.id), ignore_errors=True)

    def new_fold(self, repeat: int, fold: int) -> TrackedRun:
        """Open the run of a fold."""
        tags = {"task": FOLD, "repeat": str(repeat), FOLD: str(fold)}
        return self.new_child(f"repeat {repeat:02d}, fold {fold:02d}", tags)


def predictions_of(run: TrackedRun) -> pd.DataFrame | None:
    """The predictions that a fold has logged."""
    with tempfile.TemporaryDirectory() as folder:
        path = run.read_artifact(PREDICTIONS_FILE, Path(folder))
        return read_predictions(path) if path else None


def segments_of(run: TrackedRun) -> pd.DataFrame | None:
    """The table of segments that a fold has logged."""
    with tempfile.TemporaryDirectory() as folder:
        path = run.read_artifact(SEGMENTS_FILE, Path(folder))
        return read_segments(path) if path else None


def classifier_of(run: TrackedRun) -> Classifier:
    """The classifier that a fold has logged. Raises `ModelError` where it is gone."""
    with tempfile.TemporaryDirectory() as folder:
        path = run.read_artifact(CLASSIFIER, Path(folder))
        if path is None:
            raise ModelError(f"run {run.id} ({run.name}) has no {CLASSIFIER} any more")
        return Classifier.load(path)


def log_fold(
    run: TrackedRun,
    predictions: pd.DataFrame,
    segments: pd.DataFrame,
    values: Mapping[str, float],
    finished_ms: int,
    classifier: Classifier | None = None,
) -> None:
    """What a fold has reached, and who has if that is to stay; a second time changes nothing."""
    run.log_metrics(values, 0, finished_ms)
    with run.folder() as folder:
        write_predictions(predictions, folder / PREDICTIONS_FILE)
        segments.to_csv(folder / SEGMENTS_FILE, index=False)
        if classifier:
            classifier.save(folder / CLASSIFIER)
