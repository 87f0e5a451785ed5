"""After a refit: what trainings of the same recipe answer to folds that they have not learnt from.

The network of a refit has learnt from train and validation, so nothing is left that could say how
far its confidences can be believed. Its recipe can: trained on all folds of these tracks but one.
"""

import logging
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from genre_mlflow import signals
from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.corpus.folds import folds
from genre_mlflow.corpus.manifest import digest, recordings
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.calibration import FEWEST
from genre_mlflow.evaluation.held_out import PART, HeldOut
from genre_mlflow.evaluation.pooled import KEYS, pooled_figures, recordings_of
from genre_mlflow.evaluation.predictions import (
    read_predictions,
    read_segments,
    segment_logits,
    segment_table,
    write_predictions,
)
from genre_mlflow.files.home import home
from genre_mlflow.files.words import counted
from genre_mlflow.jobs.fitting import BOTH, refit
from genre_mlflow.jobs.tracks import tensors
from genre_mlflow.model.pretrained.features import remembering
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.training.checkpoint import CheckpointFolder

OUT_OF_FOLD = "out_of_fold"  # prefix of the metrics, which are of the recipe and not of the model
FOLDS = "refit-folds"  # folder of the answers and the checkpoints, in that of the run
FITTED_FOLDS = 5  # of what is fitted at once, where nobody has asked for others
LOGITS = "logits"
BOTH_SPLITS = "train and validation"  # the tracks' name in a sentence
TRACKS_FILE, SEGMENTS_FILE = (f"tables/{OUT_OF_FOLD}_{n}.csv" for n in ("predictions", "segments"))

logger = logging.getLogger(__name__)


def n_folds(options: TrainOptions) -> int:
    """How many folds calibrate; 0 where it is left to the network before, or nothing is refitted.

    What is fitted at once costs seconds a fold, what learns in epochs its whole training.
    """
    asked = options.training.refit_folds or (FITTED_FOLDS if options.family.is_fitted else 1)
    return asked if options.training.refit and asked > 1 else 0


def are_left(options: TrainOptions, folder: Path) -> bool:
    """Whether folds may still have to be trained, by what lies in the folder of a run.

    After a training that has stopped early it says so though all are done.
    """
    epochs = 1 if options.family.is_fitted else options.training.epochs
    places = (folder / FOLDS).glob("*")
    done = [place for place in places if CheckpointFolder(place).weights_file(epochs).exists()]
    return len(done) < n_folds(options)


def deal_folds(options: TrainOptions, corpus: Corpus) -> list[pd.DataFrame]:
    """The folds of train and validation by whole groups, as manifests; none where none are needed.

    Raises `DataError` for folds that were asked for and cannot be, or are of too few tracks.
    """
    n = n_folds(options)
    if not n:
        return []
    grouped = corpus.split.grouped
    try:
        n_tracks = len({*recordings(grouped[grouped["split"] != "test"])})
        if n_tracks < FEWEST:
            raise DataError(f"a temperature needs {FEWEST} tracks, train and val have {n_tracks}")
        return folds(grouped, n, options.split.split_seed)
    except DataError as error:
        if options.training.refit_folds:
            raise DataError(f"refit_folds is {n}: {error}") from error
        logger.info("Calibrated by the network before the refit, not by folds: %s", error)
        return []


def check_folds(options: TrainOptions, corpus: Corpus) -> None:
    """Raise `DataError` for folds that were asked for and cannot be dealt."""
    if options.training.refit_folds:
        deal_folds(options, corpus)


def answers_of_folds(
    options: TrainOptions,
    corpus: Corpus,
    dealt: list[pd.DataFrame],
    epochs: int,
    folder: Path,
    device: torch.device,
) -> HeldOut:
    """The pooled answers to all folds, each by a training on the others of so many epochs.

    Those of a fold that is done are read from `folder`.
    """
    parts = []
    for number, fold in enumerate(dealt, start=1):
        signals.check()
        logger.info("Calibration, fold %d of %d", number, len(dealt))
        place = folder / FOLDS / f"{number:02d}-{digest(fold)}"
        parts.append(answers_of_fold(options, corpus, fold, epochs, place, device))
    return HeldOut.pooled(parts, BOTH_SPLITS, by_whom(len(parts)))


def by_whom(n: int) -> str:
    """Who has answered for the tracks of so many folds, after their name in a sentence."""
    return (
        f", each answered for by one of {counted(n, 'training')} of the same recipe that have not "
        "seen its group"
    )


def answers_of_fold(
    options: TrainOptions,
    corpus: Corpus,
    fold: pd.DataFrame,
    epochs: int,
    place: Path,
    device: torch.device,
) -> HeldOut:
    """The answers to a fold, which are written into `place`; checkpoints lie there before."""
    learnt = fold[fold["split"] == "train"]
    watched = learnt.drop_duplicates("genre")  # validated on, and nothing follows
    unseen = corpus.split.grouped.loc[fold.index[fold["split"] == "val"]]
    tracks = tensors(corpus, options, {BOTH: learnt, "val": watched, "unseen": unseen})
    written = CheckpointFolder(place)
    if not written.weights_file(epochs).exists():
        logits = logits_of_fold(options, corpus, tracks, epochs, place / "training", device)
        written.save_weights(epochs, {LOGITS: logits})
    shutil.rmtree(place / "training", ignore_errors=True)
    logits = written.load_weights(epochs)[LOGITS]
    return HeldOut(unseen, logits, tracks["unseen"].owners, tuple(corpus.genres), "a fold")


def logits_of_fold(
    options: TrainOptions,
    corpus: Corpus,
    tracks: dict[str, TrackDataset],
    epochs: int,
    folder: Path,
    device: torch.device,
) -> torch.Tensor:
    """Train as a refit does, and answer: `[segments, genres]`."""
    classifier, _ = refit(options, corpus.genres, tracks, epochs, folder, device)
    with remembering(classifier.network, home() / "cache"):
        return segment_logits(classifier, tracks["unseen"])


def pooled_table(held_out: HeldOut, aggregation: str) -> pd.DataFrame:
    """The predictions table of these answers, with the columns of a cross-validation's."""
    pooled = held_out.answers(aggregation)
    pooled.insert(0, KEYS[0], 1)
    pooled.insert(1, KEYS[1], held_out.rows[PART].to_numpy() + 1)
    return pooled


def figures_of_folds(held_out: HeldOut, aggregation: str) -> dict[str, float]:
    """What these answers say of the recipe, as metrics of this prefix."""
    figures = pooled_figures(recordings_of(pooled_table(held_out, aggregation)))
    return {f"{OUT_OF_FOLD}_{name}": value for name, value in figures.items()}


def log_answers_of_folds(run: TrackedRun, held_out: HeldOut, aggregation: str) -> None:
    """Log these answers as tables."""
    with run.folder() as folder:
        (folder / "tables").mkdir()
        write_predictions(pooled_table(held_out, aggregation), folder / TRACKS_FILE)
        segments = segment_table(held_out.rows, held_out.owners, held_out.logits, held_out.genres)
        segments.to_csv(folder / SEGMENTS_FILE, index=False)


def read_answers_of_folds(run: TrackedRun) -> HeldOut | None:
    """What was logged of these answers; None where a run has none.

    Raises `DataError` for tables that are damaged.
    """
    with tempfile.TemporaryDirectory() as folder:
        tracks, own = (run.read_artifact(n, Path(folder)) for n in (TRACKS_FILE, SEGMENTS_FILE))
        if tracks is None or own is None:
            return None
        try:
            return answers_in(read_predictions(tracks), read_segments(own))
        except DataError as error:
            raise DataError(
                f"{TRACKS_FILE} or {SEGMENTS_FILE} of run {run.id} is damaged: {error}"
            ) from error


def answers_in(pooled: pd.DataFrame, segments: pd.DataFrame) -> HeldOut:
    """The answers of the tables that were logged. Raises `DataError` for others."""
    if KEYS[1] not in pooled:
        raise DataError(f"there is no column {KEYS[1]}")
    parts, folds = pd.factorize(pooled[KEYS[1]], sort=True)
    found = HeldOut.from_tables(pooled.assign(**{PART: parts}), segments, BOTH_SPLITS)
    return replace(found, how=by_whom(len(folds)))
