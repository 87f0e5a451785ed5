"""The model that a cross-validation registers on request: it has learnt from all tracks.

None is left to test it on. What it is worth, the folds say: classifiers of the same recipe.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from genre_mlflow import signals
from genre_mlflow.errors import DataError, ModelError
from genre_mlflow.evaluation.doubt import fit_doubt
from genre_mlflow.evaluation.held_out import HeldOut
from genre_mlflow.evaluation.pooled import pool, recordings_of
from genre_mlflow.files.words import counted
from genre_mlflow.jobs.card.card import log_pages
from genre_mlflow.jobs.card.crossval import CrossvalFacts, crossval_card
from genre_mlflow.jobs.crossval_report import as_words
from genre_mlflow.jobs.crossval_settings import ENSEMBLE, CrossvalSettings
from genre_mlflow.jobs.doubt import familiarity_of
from genre_mlflow.jobs.final_model_words import sentences
from genre_mlflow.jobs.fitting import fit_to_the_end
from genre_mlflow.jobs.held_out import Bench
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.fold_ensemble import FoldEnsemble
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.folds import FoldRuns, Key, classifier_of, segments_of
from genre_mlflow.tracking.models import find_model, log_classifier
from genre_mlflow.tracking.registry import CROSS_VALIDATED, RegisteredModel
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sessions import checkpoint_folder
from genre_mlflow.tracking.versions import FOLDS_ACCURACY, FOLDS_PREFIX
from genre_mlflow.training.checkpoint import CheckpointFolder

FINAL = "final"  # folder of the checkpoints, in that of the run
CARRIED = ("accuracy", "macro_f1", "loss", "calibration_error")  # figures of the folds

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registered:
    """The version that was registered, and the alias that points to it, or empty."""

    name: str
    version: str
    role: str


@dataclass(frozen=True)
class Made:
    """A logged model, and what its version will say of itself."""

    model_id: str
    tags: dict[str, str]
    description: str


def make_model(
    run: TrackedRun,
    options: TrainOptions,
    settings: CrossvalSettings,
    bench: Bench,
    tables: Mapping[Key, pd.DataFrame],
    values: Mapping[str, float],
) -> Made:
    """Train or join it, calibrate it by all answers of the folds, and log it with its card.

    A second time changes nothing.
    """
    runs = FoldRuns(run, (bench.corpus.name, bench.corpus.digest)).known
    held_out = pooled_answers(runs, tables)
    if settings.final == ENSEMBLE:
        members = [runs[key] for key in sorted(runs) if key[0] == 1]
        classifier = joined([classifier_of(each) for each in members])
    else:
        classifier = trained_on_all(run, options, bench)
    signals.check()
    classifier.temperature = held_out.temperature(classifier.aggregation) or 1.0
    learn_limits(classifier, options, bench, runs, tables)
    classifier.network.cpu()
    epoch = 1 if options.family.is_fitted else options.training.epochs
    model_id = find_model(run, classifier) or log_classifier(run, classifier, epoch)
    log_figures(run, model_id, values)
    about = sentences(options, settings, bench, held_out, classifier, values)
    facts = CrossvalFacts(
        options=options,
        corpus=bench.corpus.name,
        digest=bench.corpus.digest,
        formats=bench.corpus.formats(),
        manifest=bench.corpus.manifest,
        units=recordings_of(pool(tables)),
        values=values,
        about=about,
        model=f"models:/{model_id}",
    )
    log_pages(run, crossval_card(facts), options.model.model_name)
    tags = {
        CROSS_VALIDATED: as_words(settings),
        FOLDS_ACCURACY: f"{values['accuracy']:.4f}",
        "corpus": bench.corpus.name,
    }
    return Made(model_id, tags, " ".join(about))


def learn_limits(
    classifier: Classifier,
    options: TrainOptions,
    bench: Bench,
    runs: Mapping[Key, TrackedRun],
    tables: Mapping[Key, pd.DataFrame],
) -> None:
    """Tell the model when it does not know: by the answers of the first repeat, a track each.

    What is familiar, all folds but the first say, and how far music of its kind may lie from that,
    the first.
    """
    first = {key: table for key, table in tables.items() if key[0] == 1}
    answers = pooled_answers(runs, first).answers(classifier.aggregation, classifier.temperature)
    classifier.doubt = fit_doubt(answers, options.doubt)
    rows = bench.corpus.split.grouped
    is_unseen = rows["track_id"].isin(first[min(first)]["track_id"])
    learnt, unseen = rows[~is_unseen], rows[is_unseen]
    classifier.familiarity = familiarity_of(
        classifier, bench.tracks(learnt), unseen, bench.tracks(unseen), options.doubt.familiar_share
    )


def pooled_answers(runs: Mapping[Key, TrackedRun], tables: Mapping[Key, pd.DataFrame]) -> HeldOut:
    """What the folds have answered to the segments of all tracks, in all repeats.

    Raises `ModelError` where the table of a fold is gone, `DataError` where it is of other tracks.
    """
    parts = []
    for key in sorted(tables):
        segments = segments_of(runs[key])
        if segments is None:
            raise ModelError(f"run {runs[key].id} ({runs[key].name}) has no table of segments")
        try:
            parts.append(HeldOut.from_tables(tables[key], segments, "a fold"))
        except DataError as error:
            raise DataError(f"run {runs[key].id} ({runs[key].name}): {error}") from error
    how = ", each answered for by a training of the same recipe that has not seen its group"
    return HeldOut.pooled(parts, "the corpus", how)


def trained_on_all(run: TrackedRun, options: TrainOptions, bench: Bench) -> Classifier:
    """One network that has learnt from every track, its last weights."""
    rows = bench.corpus.split.grouped
    logger.info("Training the final model on all %s", counted(len(rows), "track"))
    tracks = {"train": bench.tracks(rows), "val": bench.tracks(rows.drop_duplicates("genre"))}
    checkpoints = CheckpointFolder(checkpoint_folder(run.id) / FINAL)
    return fit_to_the_end(options, bench.corpus.genres, tracks, checkpoints, bench.device)[0]


def joined(members: Sequence[Classifier]) -> Classifier:
    """Classifiers of one kind as one, whose answers are averaged."""
    first = members[0]
    settings = FoldEnsemble.of(first.network_settings, len(members))
    made = Classifier(first.genres, settings, first.preprocessing, first.aggregation)
    weights = {
        f"members.{number}.{name}": tensor
        for number, member in enumerate(members)
        for name, tensor in member.network.state_dict().items()
    }
    made.network.load_state_dict(weights)
    return made


def log_figures(run: TrackedRun, model_id: str, values: Mapping[str, float]) -> None:
    """Link to the model what the folds say of it, once."""
    names = [f"{name}{end}" for name in CARRIED for end in ("", "_low", "_high")]
    found = {f"{FOLDS_PREFIX}{name}": values[name] for name in names if name in values}
    known = {metric.key for metric in run.client.get_logged_model(model_id).metrics or ()}
    new = {name: value for name, value in found.items() if name not in known}
    if new:
        run.log_metrics(new, 0, int(time.time() * 1000), model_id)


def register(made: Made, name: str) -> Registered:
    """Register the model as the next version of a name; a second time changes nothing."""
    model = RegisteredModel(name)
    version = str(model.register(made.model_id, made.tags, made.description).version)
    return Registered(name, version, model.role_of(version))
