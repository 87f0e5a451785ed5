"""The whole way of a training: data, epochs, evaluation, registration."""

import logging
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pandas as pd
import torch

from genre_mlflow import signals
from genre_mlflow.corpus.corpus import Corpus, open_corpus
from genre_mlflow.corpus.manifest import conflicting_groups, copied_groups, digest
from genre_mlflow.corpus.settings import DEMO, SPLITS
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation.held_out import HeldOut
from genre_mlflow.evaluation.intervals import small_sentence
from genre_mlflow.evaluation.predictions import by_recording, part
from genre_mlflow.files.home import home
from genre_mlflow.files.words import counted, few
from genre_mlflow.jobs.calibration import Calibrated, calibrated_answers, log_calibration
from genre_mlflow.jobs.card.card import log_card
from genre_mlflow.jobs.card.facts import CALIBRATION_TAG, MODEL_TAG, TEST_READS
from genre_mlflow.jobs.description import (
    leak_tags,
    log_description,
    run_name,
    version_description,
)
from genre_mlflow.jobs.doubt import believed, doubts_of
from genre_mlflow.jobs.fitting import (
    AGAIN,
    BOTH,
    TAUGHT,
    distil,
    fit_classifier,
    new_classifier,
    refit,
)
from genre_mlflow.jobs.out_of_fold import (
    OUT_OF_FOLD,
    answers_of_folds,
    are_left,
    check_folds,
    deal_folds,
    figures_of_folds,
    log_answers_of_folds,
)
from genre_mlflow.jobs.report import final_metrics, log_baseline, log_importance, log_report
from genre_mlflow.jobs.rivals import (
    baseline_predictions,
    gain_over_baseline,
    is_worth_comparing,
)
from genre_mlflow.jobs.tracks import open_tracks, suited
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.baselines import StatisticsBaseline
from genre_mlflow.model.pretrained.features import remembering
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.models import find_model, log_classifier, log_predictions
from genre_mlflow.tracking.observer import RunTracker, check_genres
from genre_mlflow.tracking.registry import TEST_DIGEST, RegisteredModel
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sessions import checkpoint_folder, find_session
from genre_mlflow.tracking.store import open_store, store_errors
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import (
    choose_device,
    describe_device,
    enough_memory,
    keep_freed_memory,
)
from genre_mlflow.training.history import best_epoch
from genre_mlflow.training.loop import FitResult
from genre_mlflow.training.observer import Observer, Observers, StopBetweenSteps

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a training run reached; `version` is empty until it is registered, `model_id` where
    it cannot be.

    `role`: the alias that points to the version, empty where newer ones have both. `small`: that
    the test set has too few tracks of a genre, empty where it has not.
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


def train(
    options: TrainOptions,
    *,
    experiment: str,
    resume: str = "",
    given: Collection[str] = (),
    observer: Observer | None = None,
) -> Outcome:
    """Train, track, evaluate and register a classifier.

    `resume`: id of a run to go on with, whose options are taken; of those, `given` names the ones
    that the user has repeated, which must not differ. Raises `GenreError` for everything that a
    user can mend, before a run is opened where that is possible.
    """
    open_store()
    session = find_session(options, experiment, resume, given)
    options = session.options
    device = choose_device(options.training.device)
    if needs_start(options, session.run_id):
        options.family.check_start()
    if options.corpus.data == DEMO:
        logger.info("Corpus: the built-in demo (synthesised in seconds, once)")
    corpus = suited(open_corpus(options.corpus, options.split), options)
    check_genres(corpus.genres)
    check_folds(options, corpus)
    session.check_data(corpus.digest, options.family.data_digest())
    with session.opened(run_name(options, corpus)) as run, enough_memory(device):
        outcome = train_in_run(run, options, corpus, device, observer)
        signals.check()
        return register_outcome(outcome)


def train_in_run(
    run: TrackedRun,
    options: TrainOptions,
    corpus: Corpus,
    device: torch.device,
    observer: Observer | None = None,
) -> Outcome:
    """What happens while the run is open, but for the registration."""
    keep_freed_memory()
    logger.info("%s", describe(run, corpus, describe_device(device)))
    log_description(run, options, corpus, describe_device(device))
    dealt = deal_folds(options, corpus)
    tracks = open_tracks(corpus, options, SPLITS)
    classifier = new_classifier(options, corpus.genres)
    tracker = RunTracker(run, classifier.config(), options.training.keep)
    observers = Observers([*([observer] if observer else []), tracker, StopBetweenSteps()])
    checkpoints = CheckpointFolder(checkpoint_folder(run.id))
    fitted = fit_classifier(classifier, tracks, options, observers, checkpoints, device)
    classifier.network.load_state_dict(fitted.best_weights)
    final, epoch = classifier, best_epoch(fitted.history).epoch
    finished_ms: int | None = None
    pooled: HeldOut | None = None
    folder = checkpoints.folder
    if options.training.refit:
        epoch = len(fitted.history)
        logger.info(
            "Training again on train and validation together: %s, %s",
            counted(len(tracks[BOTH]), "segment"), counted(epoch, "epoch"),
        )  # fmt: skip
        final, finished_ms = refit(options, corpus.genres, tracks, epoch, folder, device)
        pooled = answers_of_folds(options, corpus, dealt, epoch, folder, device) if dealt else None
    elif options.training.distil:
        taught = CheckpointFolder(folder / f"{TAUGHT}-{epoch}")
        final, finished_ms = distil(final, options, tracks, taught, device)
    finished_ms = finished_ms or fitted.history[epoch - 1].finished_ms
    logger.info("Evaluating; the test set is read now, when all is chosen")
    rated = {"train": classifier, "val": classifier, "test": final}
    return conclude(run, options, corpus, rated, tracks, fitted, epoch, finished_ms, pooled)


def needs_start(options: TrainOptions, run_id: str) -> bool:
    """Whether any of the trainings of a run is still to begin with what its network starts from."""
    if begins(run_id) or (options.training.refit and begins(run_id, AGAIN)):
        return True
    return are_left(options, checkpoint_folder(run_id))


def begins(run_id: str, part: str = "") -> bool:
    """Whether a run, or the training that follows in it, has no checkpoint to go on from."""
    return not CheckpointFolder(checkpoint_folder(run_id) / part).has_state


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
    strange = not_of_model(options)
    others = {name: value for name, value in values.items() if name.startswith(strange)}
    ours = {name: value for name, value in values.items() if name not in others}
    if others:
        run.log_metrics(others, epoch, finished_ms)
    run.log_metrics(ours, epoch, finished_ms, model_id or None)
    run.log_tags({CALIBRATION_TAG: said})
    if model_id:
        signals.check()
        run.log_tags({MODEL_TAG: model_id})
        log_card(TrackedRun.find(run.id))
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


def describe(run: TrackedRun, corpus: Corpus, device: str) -> str:
    """Three lines about what begins, and what was left out."""
    counts = ", ".join(f"{n} {name}" for name, n in corpus.counts().items())
    copies = copied_groups(corpus.manifest)
    conflicts = conflicting_groups(corpus.manifest)
    lines = [
        f"Run {run.id} ({run.name})",
        f"{corpus.name}: {len(corpus.manifest)} tracks of {len(corpus.genres)} genres ({counts}), "
        f"on {device}",
        f"files: {corpus.formats()}",
    ]
    if copies:
        leaks = len(corpus.split.leaks)
        kept = f"{leaks} of them in two splits" if leaks else "each within one split"
        lines.append(f"{counted(len(copies), 'group')} of copies, {kept}")
    if conflicts:
        few_of_them = few([" = ".join(group) for group in conflicts], "; ")
        lines.append(f"  copies with different genres: {few_of_them}")
    left_out = {name: len(found) for name, found in corpus.notes.items()}
    left_out["files_that_cannot_be_used_left_out"] = len(corpus.bad_files)
    lines += [f"{name.replace('_', ' ')}: {count}" for name, count in left_out.items() if count]
    return "\n".join(lines)
