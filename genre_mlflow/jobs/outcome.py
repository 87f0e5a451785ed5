"""What a training has reached: evaluated, logged and registered."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pandas as pd

from genre_mlflow import signals
from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.corpus.manifest import digest
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation.held_out import HeldOut
from genre_mlflow.evaluation.intervals import small_sentence
from genre_mlflow.evaluation.predictions import by_recording, part
from genre_mlflow.files.home import home
from genre_mlflow.files.words import counted
from genre_mlflow.jobs.calibration import Calibrated, calibrated_answers, log_calibration
from genre_mlflow.jobs.card.card import log_card
from genre_mlflow.jobs.card.facts import CALIBRATION_TAG, MODEL_TAG, TEST_READS
from genre_mlflow.jobs.description import leak_tags, version_description
from genre_mlflow.jobs.doubt import believed, doubts_of
from genre_mlflow.jobs.out_of_fold import OUT_OF_FOLD, figures_of_folds, log_answers_of_folds
from genre_mlflow.jobs.report import final_metrics, log_baseline, log_importance, log_report
from genre_mlflow.jobs.rivals import baseline_predictions, gain_over_baseline, is_worth_comparing
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.baselines import StatisticsBaseline
from genre_mlflow.model.pretrained.features import remembering
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.models import find_model, log_classifier, log_predictions
from genre_mlflow.tracking.registry import TEST_DIGEST, RegisteredModel
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.store import store_errors
from genre_mlflow.training.history import best_epoch
from genre_mlflow.training.loop import FitResult

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a training run reached; `version` is empty until it is registered, `model_id` where
    it cannot be.

    `role`: the alias that points to the version, empty where newer ones have both. `small`: that
    the test set has too few tracks of a genre, empty where it has not. `unsent`: the folder in
    which all of it waits, where the store was gone.
    """

    run_id: str
    experiment_id: str
    model_id: str
    model_name: str
    n_genres: int
    n_test: int
    metrics: dict[str, float]
    tags: dict[str, str]  # of the registered version
    description: str  # of the registered version
    version: str = ""
    role: str = ""
    small: str = ""
    unsent: str = ""


def conclude(
    run: TrackedRun,
    options: TrainOptions,
    corpus: Corpus,
    rated: Mapping[str, Classifier],
    tracks: dict[str, TrackDataset],
    fitted: FitResult,
    epoch: int,
    finished_ms: int,
    pooled: HeldOut | None = None,
) -> Outcome:
    """Evaluate, and log results and model; a run killed in here repeats it without doubles.

    `rated`: who answers for each split; what answers for test is the run's model, of this epoch,
    whose weights were there at `finished_ms`. `pooled`: answers of its recipe to tracks that it has
    learnt from itself, which its temperature is fitted to.
    """
    signals.check()
    note_test_read(run, len(fitted.history))
    answers = answered(options, corpus, rated, tracks, pooled)
    predictions = answers.predictions
    signals.check()
    best = best_epoch(fitted.history)
    values = final_metrics(answers.raw, predictions, best) | answers.metrics()
    doubts = doubts_of(rated["test"], answers, corpus, tracks, options)
    values |= doubts.metrics()
    said = believed(answers, doubts)
    logger.info("%s", said)
    if pooled:
        log_answers_of_folds(run, pooled, options.model.aggregate)
        values |= figures_of_folds(pooled, options.model.aggregate)
    if is_worth_comparing(options, tracks):
        baseline = baseline_predictions(options, corpus, tracks)
        values |= gain_over_baseline(predictions, baseline)
        log_baseline(run, baseline)
    if isinstance(options.family, StatisticsBaseline):
        log_importance(run, rated["val"], tracks["val"])
    log_report(run, options, fitted.history, predictions)
    log_calibration(run, answers)
    signals.check()
    model_id = log_model(run, options, rated, predictions, epoch)
    log_figures(run, options, values, model_id, epoch, finished_ms)
    run.log_tags({CALIBRATION_TAG: said})
    if model_id:
        signals.check()
        run.log_tags({MODEL_TAG: model_id})
        log_card(TrackedRun.find(run.id))
    return outcome_of(run, options, corpus, predictions, values, model_id)


def log_figures(
    run: TrackedRun,
    options: TrainOptions,
    values: Mapping[str, float],
    model_id: str,
    epoch: int,
    finished_ms: int,
) -> None:
    """Log the figures, linked to the model but for those that are not its own."""
    strange = not_of_model(options)
    others = {name: value for name, value in values.items() if name.startswith(strange)}
    ours = {name: value for name, value in values.items() if name not in others}
    if others:
        run.log_metrics(others, epoch, finished_ms)
    run.log_metrics(ours, epoch, finished_ms, model_id or None)


def outcome_of(
    run: TrackedRun,
    options: TrainOptions,
    corpus: Corpus,
    predictions: pd.DataFrame,
    values: dict[str, float],
    model_id: str,
    unsent: str = "",
) -> Outcome:
    """What was reached, before it is registered."""
    tags = {
        TEST_DIGEST: digest(corpus.rows("test")),
        "test_accuracy": f"{values['test_accuracy']:.4f}",
        "corpus": corpus.name,
        **leak_tags(corpus),
    }
    return Outcome(
        run_id=run.id,
        experiment_id=run.experiment_id,
        model_id=model_id,
        model_name=options.model.model_name,
        n_genres=len(corpus.genres),
        n_test=len(by_recording(part(predictions, "test"))),
        metrics=values,
        tags=tags,
        description=version_description(options, corpus, values),
        small=small_sentence(part(predictions, "test")),
        unsent=unsent,
    )


def answered(
    options: TrainOptions,
    corpus: Corpus,
    rated: Mapping[str, Classifier],
    tracks: Mapping[str, TrackDataset],
    pooled: HeldOut | None,
) -> Calibrated:
    """What those who answer for each split say; they get their temperatures."""
    with ExitStack() as stack:
        for network in {classifier.network for classifier in rated.values()}:
            stack.enter_context(remembering(network, home() / "cache"))
        held_out = pooled or speaks_for_test(options, rated)
        return calibrated_answers(rated, corpus, tracks, held_out)


def log_model(
    run: TrackedRun,
    options: TrainOptions,
    rated: Mapping[str, Classifier],
    predictions: pd.DataFrame,
    epoch: int,
) -> str:
    """Log what answers for the test set with what it says itself; its id, if it hears music at all.

    It says all splits, or the test set alone where another network was trained at the end.
    """
    final = rated["test"]
    final.network.cpu()
    if not options.family.reads_files:
        return ""
    model_id = find_model(run, final) or log_classifier(run, final, epoch)
    own = [name for name, who in rated.items() if who is final]
    log_predictions(run, model_id, predictions[predictions["split"].isin(own)])
    return model_id


def not_of_model(options: TrainOptions) -> tuple[str, ...]:
    """Metrics by their first letters that tell of others of its recipe than the model itself.

    A pupil is no network of the epoch that was chosen; of a refit it was not held out what its
    limits were chosen on.
    """
    training = options.training
    best = ("best",) if training.refit or training.distil else ()
    held_out = ("val_sure", "val_set") if training.refit else ()
    return (OUT_OF_FOLD, *best, *held_out)


def speaks_for_test(options: TrainOptions, rated: Mapping[str, Classifier]) -> Classifier | None:
    """Whose answers for validation say how far those for the test set can be believed.

    It has not learnt from validation: the model itself, or after a refit without folds the network
    before, of the same recipe. None where that is an ensemble and the model one network.
    """
    if not options.training.refit:
        return rated["test"]
    return None if options.training.distil else rated["val"]


def note_test_read(run: TrackedRun, epochs: int) -> None:
    """Note in the run that the test set is read now, after all earlier notes.

    A run that is resumed, or goes on to more epochs, reads it again.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    before = run.tags.get(TEST_READS, "")
    notes = [*(before.split("; ") if before else []), f"{now} after {counted(epochs, 'epoch')}"]
    run.log_tags({TEST_READS: "; ".join(notes)})


def register_outcome(outcome: Outcome) -> Outcome:
    """Register the model of a run as the challenger; a second time changes nothing.

    What cannot answer to music has no model, and is not registered.
    """
    if not outcome.model_id:
        return outcome
    model = RegisteredModel(outcome.model_name)
    version = model.register(outcome.model_id, outcome.tags, outcome.description)
    TrackedRun.find(outcome.run_id).log_tags({"registered": f"{model.name} {version.version}"})
    number = str(version.version)
    with store_errors():
        return replace(outcome, version=number, role=model.role_of(number))
