"""Cross-validation: each fold of the corpus answered for by a classifier that has not seen it."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from genre_mlflow import signals
from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.corpus.manifest import digest
from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.pooled import FIGURES, fold_table, pool, pooled_figures, recordings_of
from genre_mlflow.files.words import counted
from genre_mlflow.jobs.crossval_report import describe, log_pooled, log_start, run_title
from genre_mlflow.jobs.crossval_settings import CrossvalSettings
from genre_mlflow.jobs.held_out import Bench, Fold, answer, deal
from genre_mlflow.jobs.tracks import open_source
from genre_mlflow.options import TrainOptions, changes
from genre_mlflow.tracking.folds import FoldRuns, Key, log_fold
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sessions import CROSSVAL, Session, find_session
from genre_mlflow.tracking.store import open_store
from genre_mlflow.training.device import (
    choose_device,
    describe_device,
    enough_memory,
    keep_freed_memory,
)
from genre_mlflow.training.observer import Observer, Observers, StopBetweenSteps

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Crossval:
    """What a cross-validation has found; `metrics` are those of its run, `folds` a row each."""

    run_id: str
    experiment_id: str
    settings: CrossvalSettings
    metrics: dict[str, float]
    folds: pd.DataFrame
    n_recordings: int
    n_groups: int


def crossval(
    options: TrainOptions,
    settings: CrossvalSettings,
    *,
    experiment: str,
    resume: str = "",
    given: Collection[str] = (),
    observer: Observer | None = None,
) -> Crossval:
    """Train on all folds but one and answer for that one, for each fold and repeat.

    `resume` and `given` as of `train`, with the settings' names among the latter. Raises
    `GenreError` for everything that a user can mend, before a run is opened where that is possible.
    """
    open_store()
    session = find_session(options, experiment, resume, given, CROSSVAL)
    settings = resumed_settings(session, settings, given)
    device = choose_device(session.options.training.device)
    session.options.family.check_start()
    corpus, dealt = deal(session.options, settings)
    table = session.options.family.data_digest()
    session.check_data(digest(corpus.split.grouped), table)
    with session.opened(run_title(session.options, settings, corpus)) as run, enough_memory(device):
        keep_freed_memory()
        about = describe_device(device)
        logger.info("%s", describe(run, session.options, settings, corpus, about))
        log_start(run, session.options, settings, corpus, about)
        watching = Observers([*([observer] if observer else []), StopBetweenSteps()])
        bench = Bench(corpus, open_source(corpus, session.options), device, watching)
        return conclude(run, settings, corpus, answer_all(run, settings, bench, dealt))


def resumed_settings(
    session: Session, settings: CrossvalSettings, given: Collection[str]
) -> CrossvalSettings:
    """The settings that a run has begun with. Raises `ModelError` for others that are given."""
    recorded = session.config.get(CROSSVAL)
    if recorded is None:
        return settings
    differing = changes(recorded, {n: v for n, v in asdict(settings).items() if n in given})
    for name, (old, new) in differing.items():
        raise ModelError(
            f"run {session.run_id} cannot be resumed with {name} {new}: it began with {old}"
        )
    return CrossvalSettings.from_saved(recorded)


def answer_all(
    run: TrackedRun, settings: CrossvalSettings, bench: Bench, dealt: Sequence[Fold]
) -> dict[Key, pd.DataFrame]:
    """Predictions by repeat and fold; those that are done are read."""
    runs = FoldRuns(run, (bench.corpus.name, bench.corpus.digest))
    tables = runs.done()
    if tables:
        logger.info("%d of %s are done already", len(tables), counted(len(dealt), "fold"))
    for number, fold in enumerate(dealt, start=1):
        signals.check()
        if fold.key in tables:
            continue
        started = time.monotonic()
        with runs.opened(fold.key, fold.params()) as child:
            predictions, finished_ms = answer(fold, bench, child)
            row = fold_table(recordings_of(pool({fold.key: predictions}))).iloc[0]
            values = {f"fold_{name}": float(row[name]) for name in FIGURES}
            run.log_metrics({"fold_accuracy": values["fold_accuracy"]}, number, finished_ms)
            log_fold(child, predictions, values, finished_ms)
        tables[fold.key] = predictions
        logger.info("%s", line(row, settings, time.monotonic() - started))
    return tables


def line(row: "pd.Series[float]", settings: CrossvalSettings, seconds: float) -> str:
    """A fold that has ended, for people."""
    repeat = f"repeat {row['repeat']:.0f} of {settings.repeats}, " if settings.repeats > 1 else ""
    return (
        f"{repeat}fold {row['fold']:2.0f} of {settings.folds}  accuracy {row['accuracy']:6.1%}  "
        f"macro F1 {row['macro_f1']:.3f}  {row['recordings']:.0f} recordings, "
        f"{row['groups']:.0f} groups  {seconds:7.1f} s"
    )


def conclude(
    run: TrackedRun, settings: CrossvalSettings, corpus: Corpus, tables: Mapping[Key, pd.DataFrame]
) -> Crossval:
    """Log what all folds say together; a second time changes nothing."""
    signals.check()
    pooled = pool(tables)
    units = recordings_of(pooled)
    values, by_fold = pooled_figures(units), fold_table(units)
    signals.check()
    log_pooled(run, settings, corpus, pooled, values)
    n_recordings = len(units) // settings.repeats
    return Crossval(
        run.id, run.experiment_id, settings, values, by_fold, n_recordings,
        units["group"].nunique(),
    )  # fmt: skip
