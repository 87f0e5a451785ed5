"""What a cross-validation says of itself: its run's name, parameters, tables and figures."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.corpus.manifest import digest
from genre_mlflow.corpus.settings import ALL
from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.pooled import fold_table, recordings_of
from genre_mlflow.evaluation.predictions import genres_of, write_predictions
from genre_mlflow.files.words import counted
from genre_mlflow.jobs.crossval_settings import CrossvalSettings
from genre_mlflow.jobs.description import circumstances, run_config, run_name
from genre_mlflow.jobs.report import write_confusion
from genre_mlflow.options import TrainOptions
from genre_mlflow.settings import as_text
from genre_mlflow.tracking.models import PREDICTIONS_FILE
from genre_mlflow.tracking.run import DESCRIPTION_TAG, TrackedRun, to_json
from genre_mlflow.tracking.sessions import CROSSVAL, write_config

DIGITS = 4  # of shares and losses that are written


def run_title(options: TrainOptions, settings: CrossvalSettings, corpus: Corpus) -> str:
    """What the run is called."""
    return f"{as_words(settings)} of {run_name(options, corpus)}"


def as_words(settings: CrossvalSettings) -> str:
    """`10 folds`, `3 times 10 folds`."""
    times = f"{settings.repeats} times " if settings.repeats > 1 else ""
    return times + counted(settings.folds, "fold")


def describe(
    run: TrackedRun,
    options: TrainOptions,
    settings: CrossvalSettings,
    corpus: Corpus,
    device: str,
) -> str:
    """A few lines about what begins."""
    n_groups = corpus.split.grouped["group"].nunique()
    lines = [
        f"Run {run.id} ({run.name})",
        f"{corpus.name}: {len(corpus.manifest)} tracks in {counted(n_groups, 'group')} of "
        f"{len(corpus.genres)} genres, {as_words(settings)}, on {device}",
        f"files: {corpus.formats()}",
    ]
    n_bad, n_unlisted = len(corpus.bad_files), len(corpus.split.excluded)
    left_out = {"files that cannot be used": n_bad, "files that no list names": n_unlisted}
    if not options.split.groups:
        lines.append("no --groups: tracks of one artist may lie in several folds")
    elif options.split.group_by not in (ALL, "artist"):
        by = options.split.group_by
        lines.append(f"--group-by {by}: tracks of one artist may lie in several folds")
    lines += [f"{name}, left out: {n}" for name, n in left_out.items() if n]
    return "\n".join(lines)


def log_start(
    run: TrackedRun,
    options: TrainOptions,
    settings: CrossvalSettings,
    corpus: Corpus,
    device: str,
) -> None:
    """Log what the run begins with; a second time changes nothing."""
    dataset = {"name": corpus.name, "digest": digest(corpus.split.grouped)}
    own = {"dataset": dataset, CROSSVAL: asdict(settings)}
    write_config(run, run_config(options, corpus, device) | own)
    flat = {**options.flat(), **asdict(settings)}
    run.log_params({name: as_text(value) for name, value in flat.items()})
    words = (
        f"Network {options.family} on **{corpus.name}**, {as_words(settings)} by whole groups; "
        "each fold is answered for by the last epoch of a training on all others."
    )
    run.log_tags(
        {
            **circumstances(corpus, device),
            "task": CROSSVAL,
            "split": as_words(settings),
            DESCRIPTION_TAG: words,
        }
    )
    run.log_corpus(corpus, "folds")


def log_pooled(
    run: TrackedRun,
    settings: CrossvalSettings,
    corpus: Corpus,
    pooled: pd.DataFrame,
    values: Mapping[str, float],
) -> None:
    """Log the pooled table, what it says of each fold and genre, its confusion and its figures."""
    units = recordings_of(pooled)
    with run.folder() as folder:
        for name in ("tables", "figures"):
            (folder / name).mkdir()
        write_tables(folder / "tables", pooled, units)
        title = f"{corpus.name}, {as_words(settings)}"
        write_confusion(folder / "figures", units, title, "confusion")
    new = {name: value for name, value in values.items() if run.metrics.get(name) != value}
    run.log_metrics(new, 0, int(time.time() * 1000))


def write_tables(folder: Path, pooled: pd.DataFrame, units: pd.DataFrame) -> None:
    """Every prediction, and of recordings the figures by fold and by genre, and the confusion."""
    write_predictions(pooled, folder / PREDICTIONS_FILE)
    fold_table(units).round(DIGITS).to_csv(folder / "folds.csv", index=False)
    metrics.genre_report(units).round(DIGITS).to_csv(folder / "report.csv", index=False)
    matrix = metrics.confusion(units).tolist()
    text = to_json({"genres": genres_of(units), "confusion": matrix})
    (folder / "confusion.json").write_text(text, encoding="utf-8")
