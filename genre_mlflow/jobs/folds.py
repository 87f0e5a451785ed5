"""One fold of a cross-validation: trained, answered for and logged, as a run of its own."""

import logging
import time

import pandas as pd

from genre_mlflow import signals
from genre_mlflow.evaluation.pooled import FIGURES, fold_table, pool, recordings_of
from genre_mlflow.jobs.crossval_settings import ENSEMBLE, NONE, CrossvalSettings
from genre_mlflow.jobs.held_out import Bench, Fold, answer
from genre_mlflow.tracking.folds import CLASSIFIER, SEGMENTS_FILE, FoldRuns, Key, log_fold
from genre_mlflow.tracking.run import TrackedRun

logger = logging.getLogger(__name__)


def answer_fold(
    run: TrackedRun, settings: CrossvalSettings, bench: Bench, fold: Fold, number: int
) -> pd.DataFrame:
    """The predictions of a fold, the `number`-th of the cross-validation `run`."""
    signals.check()
    started = time.monotonic()
    runs = FoldRuns(run, (bench.corpus.name, bench.corpus.digest))
    with runs.opened(fold.key, fold.params()) as child:
        found = answer(fold, bench, child)
        row = fold_table(recordings_of(pool({fold.key: found.predictions}))).iloc[0]
        values = {f"fold_{name}": float(row[name]) for name in FIGURES}
        run.log_metrics({"fold_accuracy": values["fold_accuracy"]}, number, found.finished_ms)
        log_fold(
            child, found.predictions, found.segments, values, found.finished_ms,
            found.classifier if is_member(settings, fold.key) else None,
        )  # fmt: skip
    logger.info("%s", line(row, settings, time.monotonic() - started))
    return found.predictions


def is_member(settings: CrossvalSettings, key: Key) -> bool:
    """Whether the final model has the classifier of a fold in it."""
    return settings.final == ENSEMBLE and key[0] == 1


def needed(settings: CrossvalSettings, key: Key) -> list[str]:
    """The artifacts of a fold, beside its predictions, that the final model is made of."""
    if settings.final == NONE:
        return []
    return [SEGMENTS_FILE, *([CLASSIFIER] if is_member(settings, key) else [])]


def line(row: "pd.Series[float]", settings: CrossvalSettings, seconds: float) -> str:
    """A fold that has ended, for people."""
    repeat = f"repeat {row['repeat']:.0f} of {settings.repeats}, " if settings.repeats > 1 else ""
    return (
        f"{repeat}fold {row['fold']:2.0f} of {settings.folds}  accuracy {row['accuracy']:6.1%}  "
        f"macro F1 {row['macro_f1']:.3f}  {row['recordings']:.0f} recordings, "
        f"{row['groups']:.0f} groups  {seconds:7.1f} s"
    )
