"""What a trial does: it trains a setting, once or on each fold, and says how well it does."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean

from optuna.exceptions import TrialPruned
from optuna.trial import Trial

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.jobs.fitting import fit_classifier, new_classifier
from genre_mlflow.options import TrainOptions
from genre_mlflow.settings import as_text
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sessions import can_go_on, checkpoint_folder, hold
from genre_mlflow.tracking.study import TrialTracker
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import enough_memory, keep_freed_memory
from genre_mlflow.training.history import EpochResult, best_epoch
from genre_mlflow.training.observer import Observer, Observers, StopBetweenSteps
from search.study import Search
from search.trials import BEST, RUN_ID, Best, Report

# Of each fold that is done, in order: loss and accuracy of its best epoch.
FoldResults = list[tuple[float, float]]


def train_setting(search: Search, trial: Trial, observers: Sequence[Observer]) -> float:
    """Train the setting that Optuna suggests; return its validation loss.

    On folds that is the mean over them, of the best epoch of each.
    """
    options = search.options.changed(**search.space.suggest(trial, search.options))
    run = begin_run(search, trial)
    reported = set(search.storage.optuna.get_trial(trial._trial_id).intermediate_values)
    with hold(run.id):
        if search.request.trials_on_folds:
            return train_trial_on_folds(search, trial, run, options, observers, reported)
        report = Report(trial, reported, options.training.epochs)
        observers = [TrialTracker(run), *observers, report]
        folder = checkpoint_folder(run.id)
        return train_once(search, options, search.tracks, folder, observers).val.loss


def train_trial_on_folds(
    search: Search,
    trial: Trial,
    run: TrackedRun,
    options: TrainOptions,
    observers: Sequence[Observer],
    reported: set[int],
) -> float:
    """Train the setting of a trial on each fold; Optuna may end it between two of them."""

    def report(results: FoldResults) -> None:
        best = Best(*means(results), epoch=None)
        if len(results) not in reported:  # else it was, just before the process died
            trial.report(results[-1][0], len(results))
        trial.set_user_attr(BEST, best.plain() | {"folds": results})
        if len(results) < len(search.folds) and trial.should_prune():
            raise TrialPruned

    known = trial.user_attrs.get(BEST, {}).get("folds", [])
    return train_on_folds(search, run, options, observers, known, report)


def train_on_folds(
    search: Search,
    run: TrackedRun,
    options: TrainOptions,
    observers: Sequence[Observer],
    known: FoldResults,
    report: Callable[[FoldResults], None],
) -> float:
    """Train a setting on each fold; the mean of the validation losses.

    `known`: what earlier folds have said, before a process was stopped; `report` is told all
    results after each fold. An epoch count or a rate that is lucky on one split is not on all.
    """
    results = [(float(loss), float(accuracy)) for loss, accuracy in known]
    for number, tracks in enumerate(search.folds[len(results) :], start=len(results) + 1):
        folder = checkpoint_folder(run.id) / f"fold-{number}"
        best = train_once(search, options, tracks, folder, observers)
        results.append((best.val.loss, best.val.accuracy))
        values = {"fold_val_loss": best.val.loss, "fold_val_accuracy": best.val.accuracy}
        run.log_metrics(values, number, best.finished_ms)
        report(results)
    loss, accuracy = means(results)
    ended = {"best_val_loss": loss, "best_val_accuracy": accuracy}
    run.log_metrics(ended, len(results), int(time.time() * 1000))
    return loss


def means(results: FoldResults) -> tuple[float, float]:
    """Mean loss and mean accuracy."""
    losses, accuracies = zip(*results, strict=True)
    return mean(losses), mean(accuracies)


def train_once(
    search: Search,
    options: TrainOptions,
    tracks: Mapping[str, TrackDataset],
    folder: Path,
    observers: Sequence[Observer],
) -> EpochResult:
    """Train one setting, from its checkpoint in `folder` if there is one; its best epoch.

    The run is held by the caller. Raises `TrainingError` or `MemoryShortage` for a setting that
    cannot be trained.
    """
    with enough_memory(search.device):
        keep_freed_memory()
        classifier = new_classifier(options, search.corpus.genres)
        observer = Observers([*observers, StopBetweenSteps()])
        checkpoints = CheckpointFolder(folder)
        fitted = fit_classifier(classifier, tracks, options, observer, checkpoints, search.device)
    return best_epoch(fitted.history)


def begin_run(search: Search, trial: Trial) -> TrackedRun:
    """A trial's run: one that was cut off where its checkpoint lies here, or a new one.

    The trial has its parameters by now.
    """
    run_id: str = trial.user_attrs.get(RUN_ID, "")
    if run_id and can_go_on(run_id) and not search.runs.is_lost(run_id):
        return search.runs.reopen_trial(run_id, trial.number)
    params = {name: as_text(value) for name, value in trial.params.items()}
    run = search.runs.open_trial(trial.number, params)
    trial.set_user_attr(RUN_ID, run.id)
    return run
