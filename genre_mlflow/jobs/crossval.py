"""Cross-validation: each fold of the corpus answered for by a classifier that has not seen it."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import pandas as pd

from genre_mlflow import signals
from genre_mlflow.corpus.manifest import digest
from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.pooled import fold_table, pool, pooled_figures, recordings_of
from genre_mlflow.files.words import counted
from genre_mlflow.jobs.crossval_report import describe, log_pooled, log_start, run_title
from genre_mlflow.jobs.crossval_settings import NONE, CrossvalSettings
from genre_mlflow.jobs.crossval_workers import answer_by_workers
from genre_mlflow.jobs.final_model import Made, Registered, make_model, register
from genre_mlflow.jobs.folds import answer_fold, needed
from genre_mlflow.jobs.held_out import Bench, Fold, deal
from genre_mlflow.jobs.tracks import open_source
from genre_mlflow.options import TrainOptions, changes
from genre_mlflow.tracking.folds import FoldRuns, Key
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sessions import CROSSVAL, Session, find_session
from genre_mlflow.tracking.store import open_store
from genre_mlflow.training.device import (
    describe_device,
    enough_memory,
    keep_freed_memory,
)
from genre_mlflow.training.observer import Observer, Observers, StopBetweenSteps
from genre_mlflow.training.precision import device_for

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Crossval:
    """What a cross-validation has found; `metrics` are those of its run, `folds` a row each.

    `registered`: the final model, where one was asked for.
    """

    run_id: str
    experiment_id: str
    settings: CrossvalSettings
    metrics: dict[str, float]
    folds: pd.DataFrame
    n_recordings: int
    n_groups: int
    registered: Registered | None = None


def crossval(
    options: TrainOptions,
    settings: CrossvalSettings,
    *,
    experiment: str,
    resume: str = "",
    given: Collection[str] = (),
    observer: Observer | None = None,
    workers: int = 1,
) -> Crossval:
    """Train on all folds but one and answer for that one, for each fold and repeat.

    `resume` and `given` as of `train`, with the settings' names among the latter. `workers`:
    processes to train folds; `observer` sees the epochs of one alone. Raises `GenreError` for
    everything that a user can mend, before a run is opened where that is possible.
    """
    open_store()
    session = find_session(options, experiment, resume, given, CROSSVAL)
    options = session.options
    settings = resumed_settings(session, settings, given)
    settings.check_workers(workers)
    device = device_for(options.training)
    options.family.check_start()
    corpus, dealt = deal(options, settings)
    table = options.family.data_digest()
    session.check_data(digest(corpus.split.grouped), table)
    with session.opened(run_title(options, settings, corpus)) as run, enough_memory(device):
        keep_freed_memory()
        about = describe_device(device)
        logger.info("%s", describe(run, options, settings, corpus, about))
        log_start(run, options, settings, corpus, about)
        watching = Observers([*([observer] if observer else []), StopBetweenSteps()])
        bench = Bench(corpus, open_source(corpus, options), device, watching)
        tables = answer_all(run, options, settings, bench, dealt, workers)
        found, made = conclude(run, options, settings, bench, tables)
        if made is None:
            return found
        registered = register(made, options.model.model_name)
        run.log_tags({"registered": f"{registered.name} {registered.version}"})
        return replace(found, registered=registered)


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
    run: TrackedRun,
    options: TrainOptions,
    settings: CrossvalSettings,
    bench: Bench,
    dealt: Sequence[Fold],
    workers: int,
) -> dict[Key, pd.DataFrame]:
    """Predictions by repeat and fold; those that are done are read."""
    dataset = bench.corpus.name, bench.corpus.digest
    whole = partial(needed, settings)
    tables = FoldRuns(run, dataset).done(whole)
    if tables:
        logger.info("%d of %s are done already", len(tables), counted(len(dealt), "fold"))
    if workers > 1:
        recorded = digest(bench.corpus.split.grouped)
        answer_by_workers(run, options, settings, dealt, tables, workers, recorded)
        return FoldRuns(run, dataset).done(whole)
    for number, fold in enumerate(dealt, start=1):
        if fold.key not in tables:
            tables[fold.key] = answer_fold(run, settings, bench, fold, number)
    return tables


def conclude(
    run: TrackedRun,
    options: TrainOptions,
    settings: CrossvalSettings,
    bench: Bench,
    tables: Mapping[Key, pd.DataFrame],
) -> tuple[Crossval, Made | None]:
    """Log what all folds say together, and make the final model; a second time changes nothing."""
    signals.check()
    pooled = pool(tables)
    units = recordings_of(pooled)
    values, by_fold = pooled_figures(units), fold_table(units)
    signals.check()
    log_pooled(run, settings, bench.corpus, pooled, values)
    n_recordings = len(units) // settings.repeats
    found = Crossval(
        run.id, run.experiment_id, settings, values, by_fold, n_recordings,
        units["group"].nunique(),
    )  # fmt: skip
    if settings.final == NONE:
        return found, None
    signals.check()
    return found, make_model(run, options, settings, bench, tables, values)
