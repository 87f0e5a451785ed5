"""Evaluating a finished model on labelled music, as a run of its own."""

import logging
import time
from dataclasses import dataclass

import pandas as pd

from genre_mlflow import signals
from genre_mlflow.corpus.corpus import Corpus, corpus_folder, corpus_name, open_corpus
from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.splits import SplitResult, groups_known, groups_together
from genre_mlflow.data.cache import open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.intervals import (
    measures_with_intervals,
    report_with_intervals,
    small_sentence,
)
from genre_mlflow.evaluation.predictions import by_recording, predict_tracks, write_predictions
from genre_mlflow.files.home import home
from genre_mlflow.jobs.known_tracks import KnownTracks, find_training, known_tracks
from genre_mlflow.jobs.report import write_confusion
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.options import TrainOptions
from genre_mlflow.settings import as_text
from genre_mlflow.tracking.classifiers import load
from genre_mlflow.tracking.experiments import experiment_id
from genre_mlflow.tracking.models import PREDICTIONS_FILE
from genre_mlflow.tracking.registry import logged_model_id
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sessions import in_hand
from genre_mlflow.tracking.store import open_store, store_errors

ALL = "all"
PARAMS = (
    "data", "split_dir", "val_fraction", "test_fraction", "split_seed", "groups", "group_by",
    "on_missing", "on_bad_file",
)  # fmt: skip

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What a model reached on a folder, and which of its tracks the model knew before.

    `metrics` and `report` have their intervals; `small` says that there are too few tracks of a
    genre, and is empty where there are not.
    """

    run_id: str
    n_tracks: int
    metrics: dict[str, float]
    report: pd.DataFrame
    known: KnownTracks
    small: str


def evaluate(
    model: str, options: TrainOptions, *, split: str, experiment: str, strict: bool = False
) -> Evaluation:
    """Predict every track of a folder, or of one split of it, and log table, figures and metrics.

    Raises `DataError` for genres that the model does not know. Tracks that it was trained or
    validated on are told, and so is that this cannot be known; `strict` refuses either.
    """
    classifier = load(model)
    training = find_training(model)
    if strict:
        training.check_known()
    open_store()
    corpus = corpus_to_evaluate(options, split)
    rows = corpus.manifest if split == ALL else corpus.rows(split)
    check_known(classifier, rows)
    known = known_tracks(training, corpus.manifest, rows)
    if strict:
        known.check_none()
    elif known.sentence():
        logger.warning("Warning: %s", known.sentence())
    cache = open_cache(rows, classifier.preprocessing, home() / "cache", part_of=corpus.manifest)
    grouped = corpus.split.grouped.loc[rows.index]
    predictions = predict_tracks(classifier, grouped, TrackDataset(rows, classifier.genres, cache))
    recordings = by_recording(predictions)
    values, report = measures_with_intervals(recordings), report_with_intervals(recordings)
    with store_errors():
        tags = {"task": "evaluate", "corpus": corpus.name, "model": model, **known.tags()}
        place, name = experiment_id(experiment), f"evaluate {corpus.name}"
        with in_hand(lambda: TrackedRun.create(place, name, tags)) as run:
            flat = options.flat()
            signals.check()
            run.log_params({"model": model, "split": split} | {n: as_text(flat[n]) for n in PARAMS})
            run.log_corpus(corpus, split)
            run.log_metrics(values, 0, int(time.time() * 1000), logged_model_id(model))
            signals.check()
            log_files(run, predictions, report, f"{corpus.name}, {split}")
    small = small_sentence(recordings)
    return Evaluation(run.id, len(recordings), values, report, known, small)


def corpus_to_evaluate(options: TrainOptions, split: str) -> Corpus:
    """The folder as training would split it, or all of it as it lies."""
    if split != ALL:
        return open_corpus(options.corpus, options.split)
    folder = corpus_folder(options.corpus.data)
    scanned = scan(folder, options.corpus.on_bad_file)
    together = groups_together(groups_known(scanned.manifest, options.split))
    unsplit = SplitResult(scanned.manifest, [], [], [], together)
    name = corpus_name(options.corpus.data)
    return Corpus(name, folder, unsplit, scanned.bad_files, scanned.notes)


def check_known(classifier: Classifier, manifest: pd.DataFrame) -> None:
    """A genre that the model cannot answer with would only ever be wrong."""
    unknown = sorted(set(manifest["genre"]) - set(classifier.genres))
    if unknown:
        raise DataError(
            f"the model does not know the genres {', '.join(unknown)}; "
            f"it knows {', '.join(classifier.genres)}"
        )


def log_files(run: TrackedRun, predictions: pd.DataFrame, report: pd.DataFrame, title: str) -> None:
    """The predictions table; of its recordings the report by genre and the confusion matrix."""
    with run.folder() as folder:
        write_predictions(predictions, folder / PREDICTIONS_FILE)
        report.to_csv(folder / "report.csv", index=False)
        write_confusion(folder, by_recording(predictions), title, "confusion")
