"""Folds of a corpus to answer for, and the answers of classifiers that have not seen them."""

from dataclasses import dataclass

import pandas as pd
import torch

from genre_mlflow import signals
from genre_mlflow.corpus.corpus import Corpus, open_corpus
from genre_mlflow.corpus.folds import folds
from genre_mlflow.corpus.splits import undealt
from genre_mlflow.data.cache import PixelCache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.data.table import FeatureRows
from genre_mlflow.evaluation.predictions import answers_of, segment_logits, segment_table
from genre_mlflow.files.home import home
from genre_mlflow.jobs.crossval_settings import CrossvalSettings
from genre_mlflow.jobs.fitting import fit_classifier, new_classifier
from genre_mlflow.jobs.tracks import suited
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.pretrained.features import remembering
from genre_mlflow.options import TrainOptions
from genre_mlflow.settings import as_text
from genre_mlflow.tracking.folds import FoldTracker, Key
from genre_mlflow.tracking.observer import check_genres
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sessions import checkpoint_folder
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.observer import Observer, Observers


@dataclass(frozen=True)
class Fold:
    """A part of the corpus to answer for, and all others to learn from.

    `manifest`: the rows of the whole corpus, those to answer for as `val`.
    """

    key: Key
    options: TrainOptions
    manifest: pd.DataFrame

    @property
    def learnt(self) -> pd.DataFrame:
        """The rows to learn from."""
        return self.manifest[self.manifest["split"] == "train"]

    @property
    def watched(self) -> pd.DataFrame:
        """A few of these, one a genre: the loop must validate on something, and nothing follows."""
        return self.learnt.drop_duplicates("genre")

    @property
    def unseen(self) -> pd.DataFrame:
        """The rows to answer for."""
        return self.manifest[self.manifest["split"] == "val"]

    def params(self) -> dict[str, str]:
        """What the run of the fold has as parameters."""
        repeat, number = self.key
        flat = {name: as_text(value) for name, value in self.options.flat().items()}
        return flat | {"repeat": str(repeat), "fold": str(number)}


@dataclass(frozen=True)
class Bench:
    """What all folds share."""

    corpus: Corpus
    source: PixelCache | FeatureRows
    device: torch.device
    observer: Observer

    def tracks(self, rows: pd.DataFrame) -> TrackDataset:
        """The tensors of some rows."""
        return TrackDataset(rows, self.corpus.genres, self.source)


def deal(options: TrainOptions, settings: CrossvalSettings) -> tuple[Corpus, list[Fold]]:
    """The corpus, and all folds of all repeats. Raises `DataError` where it cannot be dealt."""
    repeated = settings.options_of(options)
    corpus = suited(open_corpus(options.corpus, options.split, undealt), options)
    check_genres(corpus.genres)
    dealt = []
    for repeat, own in enumerate(repeated, start=1):
        seed = own.split.split_seed
        parts = folds(corpus.split.grouped, settings.folds, seed, with_test=True)
        dealt += [Fold((repeat, n), own, part) for n, part in enumerate(parts, start=1)]
    return corpus, dealt


@dataclass(frozen=True)
class Answered:
    """What the classifier of a fold answers to it: tables of tracks and of segments.

    `finished_ms`: when its weights were there.
    """

    classifier: Classifier
    predictions: pd.DataFrame
    segments: pd.DataFrame
    finished_ms: int


def answer(fold: Fold, bench: Bench, run: TrackedRun) -> Answered:
    """What one side of a fold is answered after training on the other.

    The weights of the last epoch answer, so that nothing is chosen by what is measured.
    """
    unseen = fold.unseen
    tracks = {"train": bench.tracks(fold.learnt), "val": bench.tracks(fold.watched)}
    classifier = new_classifier(fold.options, bench.corpus.genres)
    checkpoints = CheckpointFolder(checkpoint_folder(run.id))
    observer = Observers([FoldTracker(run), bench.observer])
    fitted = fit_classifier(classifier, tracks, fold.options, observer, checkpoints, bench.device)
    classifier.network.load_state_dict(checkpoints.load_weights(len(fitted.history)))
    signals.check()
    as_scanned = bench.corpus.split.grouped.loc[unseen.index]  # with the split of the folder
    tensors = bench.tracks(unseen)
    with remembering(classifier.network, home() / "cache"):
        logits = segment_logits(classifier, tensors)
    return Answered(
        classifier,
        answers_of(classifier, as_scanned, tensors.owners, logits),
        segment_table(as_scanned, tensors.owners, logits, classifier.genres),
        fitted.history[-1].finished_ms,
    )
