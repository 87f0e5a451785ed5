"""The runs of a study: one parent, and nested in it a run for each trial, final and worker."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.errors import ModelError
from genre_mlflow.options import TrainOptions
from genre_mlflow.settings import as_text
from genre_mlflow.tracking.experiments import experiment_id
from genre_mlflow.tracking.nested import PARENT_TAG, NestedRuns
from genre_mlflow.tracking.observer import epoch_metrics
from genre_mlflow.tracking.run import (
    DESCRIPTION_TAG,
    FAILED,
    RUNNING,
    TrackedRun,
)
from genre_mlflow.tracking.sessions import can_go_on, checkpoint_folder
from genre_mlflow.tracking.store import joined_run_id
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.observer import Observer

# What a run's `task` may be.
SEARCH, TUNE, FINALIST, FINAL, WORKER = "search", "tune", "finalist", "final", "worker"
# MLflow's page that compares runs opens with the metric that was logged first.
TRIAL_METRICS = ("val_loss", "val_accuracy", "train_accuracy", "train_loss", "epoch_seconds")
BEST = "best_val_loss"
NO_TAGS: Mapping[str, str] = {}


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended: `status` of its run, tags that say why, its best figures and their step.

    `finished_ms`: Unix time, which makes a second writing of the same end change nothing.
    """

    status: str
    tags: Mapping[str, str]
    best: Mapping[str, float]
    step: int
    finished_ms: int


class TrialTracker(Observer):
    """Writes the few metrics that trials are compared by, each epoch; no image and no model."""

    def __init__(self, run: TrackedRun) -> None:
        self.run = run

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """Log the epoch; once more for the last one of a trial that goes on."""
        values = epoch_metrics(result, {})
        chosen = {name: values[name] for name in TRIAL_METRICS}
        self.run.log_metrics(chosen, result.epoch, result.finished_ms)


class StudyRuns(NestedRuns):
    """The runs of one study in MLflow; every method may be called by several workers."""

    def run(self, run_id: str) -> TrackedRun:
        """A run of this study."""
        return self.linked(TrackedRun.find(run_id))

    def is_lost(self, run_id: str) -> bool:
        """Whether somebody has deleted a run of this study."""
        try:
            return TrackedRun.find(run_id).is_deleted
        except ModelError:  # for good
            return True

    def open_trial(self, number: int, params: Mapping[str, str]) -> TrackedRun:
        """Open the run of a trial."""
        run = self.new_child(trial_name(number), {"task": TUNE, "trial": str(number)})
        run.log_params(params)
        return run

    def reopen_trial(self, run_id: str, number: int) -> TrackedRun:
        """Go on with the run of a trial that was cut off, under the number of its repetition."""
        run = self.run(run_id)
        run.log_tags({"trial": str(number)})  # first: it says whose run this is
        run.remove_tag("error")
        run.reopen(trial_name(number))
        return run

    def open_trials(self) -> dict[int, str]:
        """Ids of the trial runs in state RUNNING, by the trial's number."""
        found = self.children(TUNE, f" AND attributes.status = '{RUNNING}'")
        return {int(run.tags["trial"]): run.id for run in found}

    def end_trial(self, run_id: str, end: TrialEnd) -> None:
        """Write how a trial ended, and delete its checkpoint unless it may go on from there."""
        run = self.run(run_id)
        if end.tags:
            run.log_tags(end.tags)
        if end.best:
            run.log_metrics(end.best, end.step, end.finished_ms)
        run.terminate(end.status, end.finished_ms)
        if end.status != FAILED:
            shutil.rmtree(checkpoint_folder(run_id), ignore_errors=True)

    def log_progress(self, step: int, best: float) -> None:
        """The least validation loss of the study after so many completed and pruned trials.

        Not by the trial's number: trials end in another order, and the last step is what MLflow
        shows as the study's value.
        """
        self.parent.log_metrics({BEST: best}, step, int(time.time() * 1000))

    @property
    def status(self) -> str:
        """The state of the parent now."""
        return TrackedRun.find(self.parent.id).status

    def set_status(self, status: str) -> None:
        """Change the state of the parent; one that has it keeps the time of its end."""
        if self.status == status:
            return
        if status == RUNNING:
            self.parent.reopen()
        else:
            self.parent.terminate(status)

    def adopt(self, run_id: str) -> None:
        """Nest the run that `mlflow run` has opened for this process, as that of a worker."""
        TrackedRun.find(run_id).log_tags({PARENT_TAG: self.parent.id, "task": WORKER})

    def open_final(self, trial: int, seed: int, corpus: Corpus) -> TrackedRun:
        """The final run of a trial and seed whose checkpoint lies here, or a new one."""
        tags = {"trial": str(trial), "final_seed": str(seed)}
        name = f"final of trial {trial:03d}, seed {seed}"
        return self.open_again(FINAL, name, tags, {"corpus": corpus.name})

    def open_finalist(self, trial: int, folds: int) -> TrackedRun:
        """The run of a trial's setting on folds whose checkpoint lies here, or a new one."""
        tags = {"trial": str(trial), "folds": str(folds)}
        return self.open_again(FINALIST, f"finalist {trial:03d}", tags)

    def open_again(
        self, task: str, name: str, tags: Mapping[str, str], more: Mapping[str, str] = NO_TAGS
    ) -> TrackedRun:
        """The run with these tags whose checkpoint lies here, or a new one with `more` tags."""
        words = "".join(f" AND tags.{name} = '{value}'" for name, value in tags.items())
        for run in self.children(task, words):
            if can_go_on(run.id):
                return run
            if run.status == RUNNING:
                run.log_tags({"error": "its worker died"})
                run.end(FAILED)
        return self.new_child(name, {"task": task, **tags, **more})


def trial_name(number: int) -> str:
    """Name of a trial's run; sorts by number."""
    return f"trial {number:03d}"


def open_parent(
    experiment: str, study: str, options: TrainOptions, searched: Mapping[str, str], corpus: Corpus
) -> TrackedRun:
    """The parent run of a study, created unless a killed process has done so already.

    `searched`: what the study looks for, as text by the name of the option; every other option
    becomes a parameter of the parent.
    """
    joined = joined_run_id()  # nested runs are shown where their parent is
    found_in = TrackedRun.find(joined).experiment_id if joined else experiment_id(experiment)
    words = f"tags.task = '{SEARCH}' AND tags.study = '{study}' AND attributes.status = '{RUNNING}'"
    started = TrackedRun.search(found_in, words)
    tags = {"task": SEARCH, "study": study, "corpus": corpus.name}
    run = started[0] if started else TrackedRun.create(found_in, f"search {study}", tags)
    fixed = {name: as_text(v) for name, v in options.flat().items() if name not in searched}
    try:
        run.log_params(fixed)
        run.log_tags({DESCRIPTION_TAG: describe(study, corpus, searched)})
        run.log_corpus(corpus, "train, val")
    except BaseException:
        run.end(FAILED)
        raise
    return run


def describe(study: str, corpus: Corpus, searched: Mapping[str, str]) -> str:
    """The study in a few lines of Markdown."""
    counts = corpus.counts()
    rows = "\n".join(f"- `{name}`: {text}" for name, text in searched.items())
    return (
        f"Study **{study}** on **{corpus.name}**: {counts['train']} tracks to train on, "
        f"{counts['val']} to validate. Trials are chosen by validation loss; the test set is "
        f"read once, by the final runs. Searched:\n\n{rows}"
    )


def find_parent(run_id: str, study: str) -> TrackedRun:
    """The parent run that a study has recorded. Raises `ModelError` where it is not."""
    try:
        run = TrackedRun.find(run_id)
    except ModelError as error:
        raise ModelError(
            f"study {study!r} is tracked in run {run_id}, which is not in this MLflow store; set "
            "MLFLOW_TRACKING_URI to the store that the study began with, or name another --study"
        ) from error
    if run.is_deleted:
        raise ModelError(
            f"study {study!r} is tracked in run {run_id}, which is deleted; name another --study, "
            f"or restore it with: {run.restore_command()}"
        )
    return run
