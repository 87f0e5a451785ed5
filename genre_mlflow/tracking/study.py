"""The runs of a study: one parent, and nested in it a run for each trial, final and worker."""

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import ModelError, TrainingError
from genre_mlflow.jobs.description import DESCRIPTION_TAG
from genre_mlflow.jobs.outcome import Outcome, register_outcome
from genre_mlflow.jobs.train import Say, make_classifier, train_in_run
from genre_mlflow.options import TrainOptions, as_text
from genre_mlflow.tracking.inputs import log_corpus, log_dataset
from genre_mlflow.tracking.observer import epoch_metrics
from genre_mlflow.tracking.run import DatasetName, log_metrics, log_params, log_tags, running
from genre_mlflow.tracking.sessions import checkpoint_folder, create_run, experiment_id, hold
from genre_mlflow.tracking.store import joined_run_id
from genre_mlflow.training.checkpoint import STATE_FILE, CheckpointFolder, first_line
from genre_mlflow.training.device import keep_freed_memory
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.loop import FitResult, fit
from genre_mlflow.training.observer import Observer, Observers

PARENT_TAG = "mlflow.parentRunId"
SEARCH, TUNE, FINAL, WORKER = "search", "tune", "final", "worker"  # what a run's `task` may be
# MLflow's page that compares runs opens with the metric that was logged first.
TRIAL_METRICS = ("val_accuracy", "val_loss", "train_accuracy", "train_loss", "epoch_seconds")
BEST = "best_val_accuracy"
RUNNING = "RUNNING"


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended: `status` of its run, tags that say why, and its best epoch if it had one.

    `finished_ms`: Unix time, which makes a second writing of the same end change nothing.
    """

    status: str
    tags: Mapping[str, str]
    best_epoch: int | None
    best_val_accuracy: float | None
    finished_ms: int


class TrialTracker(Observer):
    """Writes the few metrics that trials are compared by, each epoch; no image and no model."""

    def __init__(self, client: MlflowClient, run_id: str, dataset: DatasetName) -> None:
        self.client, self.run_id, self.dataset = client, run_id, dataset

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """Log the epoch; once more for the last one of a trial that goes on."""
        values = epoch_metrics(result, {})
        log_metrics(
            self.client, self.run_id, {name: values[name] for name in TRIAL_METRICS},
            result.epoch, result.finished_ms, None, self.dataset,
        )  # fmt: skip


class StudyRuns:
    """The runs of one study in MLflow; every method may be called by several workers."""

    def __init__(self, client: MlflowClient, parent: Run, dataset: DatasetName) -> None:
        self.client, self.parent, self.dataset = client, parent, dataset
        self.parent_id: str = parent.info.run_id
        self.experiment_id: str = parent.info.experiment_id

    def children(self, task: str, more: str = "") -> list[Run]:
        """Nested runs of one task; `more` is a further filter in MLflow's words."""
        words = f"tags.`{PARENT_TAG}` = '{self.parent_id}' AND tags.task = '{task}'{more}"
        runs: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs([self.experiment_id], words, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs

    def new_child(self, name: str, tags: Mapping[str, str]) -> Run:
        """Open a nested run."""
        nested = {PARENT_TAG: self.parent_id, **tags}
        return create_run(self.client, self.experiment_id, name, nested)

    def open_trial(self, number: int, params: Mapping[str, str]) -> str:
        """Open the run of a trial; return its id."""
        run = self.new_child(trial_name(number), {"task": TUNE, "trial": str(number)})
        log_params(self.client, run, params)
        return str(run.info.run_id)

    def reopen_trial(self, run_id: str, number: int) -> None:
        """Go on with the run of a trial that was cut off, under the number of its repetition."""
        log_tags(self.client, run_id, {"trial": str(number)})  # first: it says whose run this is
        with suppress(MlflowException):  # a tag that is not there cannot be deleted
            self.client.delete_tag(run_id, "error")
        self.client.update_run(run_id, status=RUNNING, name=trial_name(number))

    def open_trials(self) -> dict[int, str]:
        """Ids of the trial runs in state RUNNING, by the trial's number."""
        found = self.children(TUNE, f" AND attributes.status = '{RUNNING}'")
        return {int(run.data.tags["trial"]): run.info.run_id for run in found}

    def end_trial(self, run_id: str, end: TrialEnd) -> None:
        """Write how a trial ended, and delete its checkpoint unless it may go on from there."""
        if end.tags:
            log_tags(self.client, run_id, end.tags)
        if end.best_epoch is not None and end.best_val_accuracy is not None:
            values = {BEST: end.best_val_accuracy, "best_epoch": float(end.best_epoch)}
            log_metrics(
                self.client, run_id, values, end.best_epoch, end.finished_ms, None, self.dataset
            )
        self.client.set_terminated(run_id, end.status, end_time=end.finished_ms)
        if end.status != "FAILED":
            shutil.rmtree(checkpoint_folder(run_id), ignore_errors=True)

    def log_progress(self, step: int, best: float) -> None:
        """The best validation accuracy of the study after so many completed and pruned trials.

        Not by the trial's number: trials end in another order, and the last step is what MLflow
        shows as the study's value.
        """
        now_ms = int(time.time() * 1000)
        log_metrics(self.client, self.parent_id, {BEST: best}, step, now_ms, None, self.dataset)

    def set_status(self, status: str) -> None:
        """Change the state of the parent; one that has it keeps the time of its end."""
        if self.client.get_run(self.parent_id).info.status == status:
            return
        if status == RUNNING:
            self.client.update_run(self.parent_id, status=RUNNING)
        else:
            self.client.set_terminated(self.parent_id, status)

    def adopt(self, run_id: str) -> None:
        """Nest the run that `mlflow run` has opened for this process, as that of a worker."""
        log_tags(self.client, run_id, {PARENT_TAG: self.parent_id, "task": WORKER})


def trial_name(number: int) -> str:
    """Name of a trial's run; sorts by number."""
    return f"trial {number:03d}"


def open_parent(
    client: MlflowClient,
    experiment: str,
    study: str,
    options: TrainOptions,
    searched: Mapping[str, str],
    corpus: Corpus,
) -> Run:
    """The parent run of a study, created unless a killed process has done so already.

    `searched`: what the study looks for, as text by the name of the option; every other option
    becomes a parameter of the parent.
    """
    joined = joined_run_id()  # nested runs are shown where their parent is
    found_in = (
        client.get_run(joined).info.experiment_id if joined else experiment_id(client, experiment)
    )
    words = f"tags.task = '{SEARCH}' AND tags.study = '{study}' AND attributes.status = '{RUNNING}'"
    started = client.search_runs([found_in], words, max_results=1)
    tags = {"task": SEARCH, "study": study, "corpus": corpus.name}
    run = started[0] if started else create_run(client, found_in, f"search {study}", tags)
    fixed = {name: as_text(v) for name, v in options.flat().items() if name not in searched}
    log_params(client, run, fixed)
    log_tags(client, run.info.run_id, {DESCRIPTION_TAG: describe(study, corpus, searched)})
    log_dataset(client, run.info.run_id, corpus, "train, val")
    log_corpus(client, run.info.run_id, corpus)
    return run


def describe(study: str, corpus: Corpus, searched: Mapping[str, str]) -> str:
    """The study in a few lines of Markdown."""
    counts = corpus.counts()
    rows = "\n".join(f"- `{name}`: {text}" for name, text in searched.items())
    return (
        f"Study **{study}** on **{corpus.name}**: {counts['train']} tracks to train on, "
        f"{counts['val']} to validate. Trials are chosen by validation accuracy; the test set is "
        f"read once, by the final runs. Searched:\n\n{rows}"
    )


def find_parent(client: MlflowClient, run_id: str, study: str) -> Run:
    """The parent run that a study has recorded. Raises `ModelError` where it is not."""
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        raise ModelError(
            f"study {study!r} is tracked in run {run_id}, which is not in this MLflow store; set "
            "MLFLOW_TRACKING_URI to the store that the study began with, or name another --study"
        ) from error
    if run.info.lifecycle_stage == "deleted":
        raise ModelError(
            f"study {study!r} is tracked in run {run_id}, which is deleted; restore it, or name "
            "another --study"
        )
    return run


def can_go_on(run_id: str) -> bool:
    """True where a run's checkpoint lies in this home, and no process is training it."""
    if not (checkpoint_folder(run_id) / STATE_FILE).exists():
        return False
    try:
        with hold(run_id):
            return True
    except ModelError:
        return False


def train_trial(
    runs: StudyRuns,
    run_id: str,
    options: TrainOptions,
    genres: Sequence[str],
    tracks: Mapping[str, TrackDataset],
    device: torch.device,
    observers: Sequence[Observer],
) -> FitResult:
    """Train one setting, from its checkpoint if there is one. Observers come after the tracker.

    Raises `TrainingError` for a setting that cannot be trained.
    """
    tracker = TrialTracker(runs.client, run_id, runs.dataset)
    with hold(run_id):
        keep_freed_memory()
        torch.manual_seed(options.training.seed)
        classifier = make_classifier(options, genres)
        try:
            return fit(
                classifier, tracks, options.training, Observers([tracker, *observers]),
                checkpoints=CheckpointFolder(checkpoint_folder(run_id)), device=device,
            )  # fmt: skip
        except torch.OutOfMemoryError as error:
            raise TrainingError(f"out of memory on {device}: {first_line(error)}") from error


def train_final(
    runs: StudyRuns,
    trial: int,
    options: TrainOptions,
    corpus: Corpus,
    device: torch.device,
    observers: Sequence[Observer],
    say: Say,
) -> Outcome:
    """Train a setting again, with all that a training run logs, and evaluate it on the test set.

    A final run of this trial and seed that was cut off is gone on with.
    """
    run = open_final(runs, trial, options.training.seed, corpus)
    with hold(run.info.run_id), running(runs.client, run.info.run_id, owned=True):
        return train_in_run(runs.client, run, options, corpus, device, observers, say)


def open_final(runs: StudyRuns, trial: int, seed: int, corpus: Corpus) -> Run:
    """The final run of a trial and seed whose checkpoint lies here, or a new one."""
    tags = {"trial": str(trial), "final_seed": str(seed)}
    words = "".join(f" AND tags.{name} = '{value}'" for name, value in tags.items())
    for run in runs.children(FINAL, words):
        if can_go_on(run.info.run_id):
            return run
        if run.info.status == RUNNING:
            log_tags(runs.client, run.info.run_id, {"error": "its worker died"})
            runs.client.set_terminated(run.info.run_id, "FAILED")
    return runs.new_child(
        f"final of trial {trial:03d}, seed {seed}", {"task": FINAL, "corpus": corpus.name, **tags}
    )


def register_best(client: MlflowClient, outcomes: Sequence[Outcome]) -> Outcome:
    """Register the final run with the best validation, of equals the least validation loss."""
    best = max(
        outcomes, key=lambda o: (o.metrics["best_val_accuracy"], -o.metrics["best_val_loss"])
    )
    return register_outcome(client, best)


def with_setting(options: TrainOptions, setting: Mapping[str, object]) -> TrainOptions:
    """The options with some of them replaced, by their flat names."""
    return TrainOptions.from_flat({**options.flat(), **setting})


def with_seed(options: TrainOptions, seed: int) -> TrainOptions:
    """The options with another seed of training."""
    return replace(options, training=replace(options.training, seed=seed))
