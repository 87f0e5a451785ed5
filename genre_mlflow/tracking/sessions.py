"""A run that is about to be trained: a new one, the one of `mlflow run`, or one to resume."""

import json
import logging
import re
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow

from genre_mlflow import signals
from genre_mlflow.errors import ModelError, RankError, SettingsError
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.home import home
from genre_mlflow.files.locks import hold_lock
from genre_mlflow.options import TrainOptions, changes, declared
from genre_mlflow.tracking import commands
from genre_mlflow.tracking.addresses import hidden
from genre_mlflow.tracking.artifacts import check_is_there, is_out_of_reach
from genre_mlflow.tracking.experiments import experiment_id
from genre_mlflow.tracking.run import FAILED, RUNNING, TrackedRun, to_json
from genre_mlflow.tracking.store import RUN_VARIABLE, joined_run_id, store_errors
from genre_mlflow.training.checkpoint import STATE_FILE

CONFIG_FILE = "config.json"
TRAIN, CROSSVAL = "train", "crossval"  # commands whose runs can be gone on with
# What each of them goes on with, by the run's `task`, and what that is called. A training ends with
# a model: one of its own, or one of a study.
TASKS = {TRAIN: (TRAIN, "final"), CROSSVAL: (CROSSVAL,)}
NAMES = {TRAIN: "training run", CROSSVAL: "cross-validation"}
MLFLOW_NAME = re.compile(r"[a-z]+-[a-z]+-\d+")  # what MLflow calls a run that nobody has named

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """A run that is about to be opened, with the options that it will be trained with.

    `run_id`: of a run that exists, or empty; `config`: what that run has recorded, empty for a
    run that has recorded nothing yet; `owned`: whether its status is ours to write; `task`: the
    command that opens it.
    """

    options: TrainOptions
    experiment: str
    run_id: str = ""
    owned: bool = True
    config: dict[str, Any] = field(default_factory=dict)
    task: str = TRAIN

    def check_data(self, digest: str, table: str = "") -> None:
        """A run goes on with the very tracks, and the table of features, that it began with."""
        recorded = self.config.get("dataset", {}).get("digest", digest)
        if recorded != digest:
            raise ModelError(
                f"run {self.run_id} cannot be resumed: its corpus had the digest {recorded}, "
                f"{self.options.corpus.data} now has {digest}"
            )

        if self.config.get("table", table) != table:
            raise ModelError(
                f"run {self.run_id} cannot be resumed: the table that it reads has changed"
            )

    def check_checkpoint(self, run: TrackedRun) -> None:
        """A run that has logged epochs needs its checkpoint."""
        folder = checkpoint_folder(run.id)
        if "val_accuracy" in run.metrics and not (folder / STATE_FILE).exists():
            raise ModelError(
                f"run {self.run_id} cannot be resumed here: {folder} has no {STATE_FILE}; it was "
                f"written below {self.config.get('home', 'another folder')} (GENRE_HOME)"
            )

    @contextmanager
    def opened(self, name: str) -> Iterator[TrackedRun]:
        """The run, held and in state RUNNING while the block runs.

        What ends it early says how to go on. Raises `ModelError` for what MLflow raises.
        """
        opened: TrackedRun | None = None
        try:
            with (
                store_errors(),
                in_hand(lambda: self.find(name), owned=self.owned) as opened,
            ):
                self.present(opened, name)
                yield opened
        except (KeyboardInterrupt, OSError, ModelError, RankError):
            if opened is not None:
                logger.info("Stopped. Go on with: %s", self.resume_command(opened))
            raise

    def find(self, name: str) -> TrackedRun:
        """The run itself, created now if there is none yet."""
        if not self.run_id:
            return TrackedRun.create(experiment_id(self.experiment), name, {"task": self.task})
        run = TrackedRun.find(self.run_id)
        self.check_checkpoint(run)
        return run

    def present(self, run: TrackedRun, name: str) -> None:
        """Make the run, and an experiment of `mlflow run`, look as ours do, unless somebody has."""
        if not run.name or MLFLOW_NAME.fullmatch(run.name):
            run.rename(name)
        run.mark_experiment()

    def resume_command(self, run: TrackedRun) -> str:
        """How to go on with the run; one that `mlflow run` opened is joined by it again."""
        if self.task == TRAIN:
            return commands.resume(run.id, owned=self.owned)
        return commands.genre_mlflow(f"{self.task} --resume {run.id}")


@contextmanager
def in_hand(find: Callable[[], TrackedRun], *, owned: bool = True) -> Iterator[TrackedRun]:
    """What `find` finds or creates, held and in state RUNNING while the block runs.

    It does not stay in that state, whatever happens, unless another process holds it.
    """
    with signals.between_steps(), ExitStack() as stack:
        with signals.undisturbed():
            run = find()
            try:
                stack.enter_context(hold(run.id))
            except (OSError, KeyboardInterrupt):  # no room for the lock, for one
                if owned and run.status == RUNNING:
                    run.end(FAILED)
                raise
            stack.enter_context(run.running(owned=owned))
        yield run


def find_session(
    options: TrainOptions,
    experiment: str,
    resume: str,
    given: Collection[str],
    task: str = TRAIN,
) -> Session:
    """Join the run of `mlflow run`, resume one, or plan a new one."""
    joined = check_joined()
    if resume and joined and resume != joined:
        raise ModelError(
            f"mlflow run has opened run {joined}, but resume is {resume}; "
            f"call it with --run-id {resume} too"
        )
    if not resume:
        if joined and read_config(joined, task):
            raise ModelError(
                f"run {joined} has begun to train before; go on with it by -P resume={joined}, "
                "or leave --run-id out"
            )
        return Session(options, experiment, joined, owned=not joined, task=task)
    config = read_config(resume, task)
    if config:
        grows = task == TRAIN
        options = resumed_options(options, config["options"], given, resume, grows=grows)
    return Session(options, experiment, resume, owned=not joined, config=config, task=task)


def check_joined() -> str:
    """Id of the run that `mlflow run` has opened for this process, or empty.

    Raises `ModelError` where the variable names none of this store, as one that was left behind.
    """
    joined = joined_run_id()
    if joined:
        try:
            with store_errors():
                run = TrackedRun.find(joined)
        except ModelError as error:
            raise ModelError(
                f"{RUN_VARIABLE} is {joined!r}, as if `mlflow run` had opened that run, but the "
                f"store {hidden(mlflow.get_tracking_uri())} has none of that id; unset it"
            ) from error
        check_place(run)
    return joined


def check_place(run: TrackedRun) -> None:
    """Refuse a run of a project that was moved: MLflow would make the old folders again.

    Raises `ModelError`.
    """
    place = run.client.get_experiment(run.experiment_id).artifact_location
    if is_out_of_reach(place):
        check_is_there(f"run {run.id}", place)


def read_config(run_id: str, task: str = TRAIN) -> dict[str, Any]:
    """The configuration that a run has recorded; empty if it died before that.

    Raises `ModelError` for a run that is missing, or that was not opened for this task.
    """
    with store_errors():
        run = TrackedRun.find(run_id)
        restoring = run.restore_command()
        if restoring:
            raise ModelError(f"run {run_id} is deleted; restore it with: {restoring}")
        check_place(run)
        strange = run.tags.get("task", task) not in TASKS[task]
        config = {} if strange else load_config(run, task)
    measured = [name for name in run.metrics if not name.startswith("system/")]
    if strange or (not config and measured):
        raise not_resumable(run_id, task)
    return config


def not_resumable(run_id: str, task: str) -> ModelError:
    """The error about a run of something else."""
    return ModelError(f"run {run_id} is no {NAMES[task]} of genre-mlflow and cannot be resumed")


def load_config(run: TrackedRun, task: str) -> dict[str, Any]:
    """The configuration as it lies beside the checkpoint, else as the run has it."""
    with tempfile.TemporaryDirectory() as folder:
        local = checkpoint_folder(run.id) / CONFIG_FILE
        path = local if local.exists() else run.read_artifact(CONFIG_FILE, Path(folder))
        try:
            config: dict[str, Any] = json.loads(path.read_text("utf-8")) if path else {}
        except ValueError as error:
            raise ModelError(f"{path} of run {run.id} is damaged: {error}") from error
    if config and "options" not in config:
        raise not_resumable(run.id, task)
    return config


def write_config(run: TrackedRun, config: dict[str, Any]) -> None:
    """Record the configuration beside the checkpoint, where it is written whole, and in the run."""
    text = to_json(config)
    with atomic_write(checkpoint_folder(run.id) / CONFIG_FILE) as file:
        file.write(text.encode())
    run.log_text(text, CONFIG_FILE)


def resumed_options(
    options: TrainOptions,
    recorded: dict[str, Any],
    given: Collection[str],
    run_id: str,
    *,
    grows: bool = True,
) -> TrainOptions:
    """The recorded options, with more epochs if asked for and the run `grows`."""
    asked = options.with_absolute_paths().flat()
    differing = changes(recorded, {name: asked[name] for name in given if name in asked})
    strange = {name for name in given if name in declared()} - recorded.keys()
    differing |= {name: ("not there", "given") for name in strange}
    epochs = differing.pop("epochs", None)
    if epochs and (not grows or asked["epochs"] < recorded["epochs"]):
        differing["epochs"] = epochs
    if differing:
        words = "; ".join(f"{name} was {old}, now {new}" for name, (old, new) in differing.items())
        raise SettingsError(
            f"run {run_id} cannot be resumed with other options ({words}); "
            + ("only more epochs are allowed" if grows else "leave them out")
        )
    return TrainOptions.from_saved(recorded | ({"epochs": asked["epochs"]} if epochs else {}))


def checkpoint_folder(run_id: str) -> Path:
    """Where a run's checkpoints lie until they are cleaned away."""
    return home() / "checkpoints" / run_id


@contextmanager
def hold(run_id: str) -> Iterator[None]:
    """Keep other processes from training the same run; of a group, rank 0 holds it for all."""
    folder = checkpoint_folder(run_id)
    folder.mkdir(parents=True, exist_ok=True)
    taken = ModelError(f"run {run_id} is being trained by another process")
    with hold_lock(folder / "lock", taken):
        yield


def can_go_on(run_id: str) -> bool:
    """True where a checkpoint of a run, or of one of its folds, lies here and nobody trains it."""
    if not any(checkpoint_folder(run_id).glob(f"**/{STATE_FILE}")):
        return False
    try:
        with hold(run_id):
            return True
    except ModelError:
        return False
