"""Opening a run: a new one, the one that `mlflow run` has opened, or one to resume."""

import json
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags

from genre_mlflow.errors import ModelError, SettingsError
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.home import home
from genre_mlflow.files.ranks import hold_together
from genre_mlflow.options import TrainOptions, as_text, changed, to_json
from genre_mlflow.tracking.store import joined_run_id, read_artifact, store_errors
from genre_mlflow.training.checkpoint import STATE_FILE

CONFIG_FILE = "config.json"
TRAINING_TASKS = ("train", "final")  # runs that end with a model: one of its own, one of a study
# The UI shows such an experiment with its views for model training.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}


@dataclass(frozen=True)
class Session:
    """A run that is about to be opened, with the options that it will be trained with.

    `run_id`: of a run that exists, or empty; `config`: what that run has recorded, empty for a
    run that has recorded nothing yet; `owned`: whether its status is ours to write.
    """

    options: TrainOptions
    experiment: str
    run_id: str = ""
    owned: bool = True
    config: dict[str, Any] = field(default_factory=dict)

    def check_data(self, digest: str) -> None:
        """A run goes on with the very tracks that it began with."""
        recorded = self.config.get("dataset", {}).get("digest", digest)
        if recorded != digest:
            raise ModelError(
                f"run {self.run_id} cannot be resumed: its corpus had the digest {recorded}, "
                f"{self.options.data} now has {digest}"
            )

    def check_checkpoint(self, run: Run) -> None:
        """A run that has logged epochs needs its checkpoint."""
        folder = checkpoint_folder(run.info.run_id)
        if "val_accuracy" in run.data.metrics and not (folder / STATE_FILE).exists():
            raise ModelError(
                f"run {self.run_id} cannot be resumed here: {folder} has no {STATE_FILE}; it was "
                f"written below {self.config.get('home', 'another folder')} (GENRE_HOME)"
            )

    def open(self, client: MlflowClient, name: str) -> Run:
        """The run itself, created now if there is none yet."""
        if self.run_id:
            return client.get_run(self.run_id)
        return new_run(client, self.experiment, name, "train")


def find_session(
    client: MlflowClient,
    options: TrainOptions,
    experiment: str,
    resume: str,
    given: Collection[str],
) -> Session:
    """Join the run of `mlflow run`, resume one, or plan a new one."""
    joined = joined_run_id()
    if resume and joined and resume != joined:
        raise ModelError(
            f"mlflow run has opened run {joined}, but resume is {resume}; "
            f"call it with --run-id {resume} too"
        )
    if not resume:
        if joined and read_config(client, joined):
            raise ModelError(
                f"run {joined} has begun to train before; go on with it by -P resume={joined}, "
                "or leave --run-id out"
            )
        return Session(options, experiment, joined, owned=not joined)
    config = read_config(client, resume)
    if config:
        options = resumed_options(options, config["options"], given, resume)
    return Session(options, experiment, resume, owned=not joined, config=config)


def read_config(client: MlflowClient, run_id: str) -> dict[str, Any]:
    """The configuration that a run has recorded; empty if it died before that.

    Raises `ModelError` for a run that is missing, or that was not opened for training.
    """
    with store_errors():
        try:
            run = client.get_run(run_id)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise ModelError(
                f"there is no run {run_id!r} in this store; set MLFLOW_TRACKING_URI to another"
            ) from error
        config = load_config(client, run_id)
    measured = [name for name in run.data.metrics if not name.startswith("system/")]
    if not config and (measured or run.data.tags.get("task", "train") not in TRAINING_TASKS):
        raise ModelError(f"run {run_id} is no training run of genre-mlflow and cannot be resumed")
    return config


def load_config(client: MlflowClient, run_id: str) -> dict[str, Any]:
    """The configuration as it lies beside the checkpoint, else as the run has it."""
    with tempfile.TemporaryDirectory() as folder:
        local = checkpoint_folder(run_id) / CONFIG_FILE
        path = local if local.exists() else read_artifact(client, run_id, CONFIG_FILE, Path(folder))
        try:
            config: dict[str, Any] = json.loads(path.read_text("utf-8")) if path else {}
        except ValueError as error:
            raise ModelError(f"{path} of run {run_id} is damaged: {error}") from error
    if config and "options" not in config:
        raise ModelError(f"run {run_id} is no training run of genre-mlflow and cannot be resumed")
    return config


def write_config(client: MlflowClient, run_id: str, config: dict[str, Any]) -> None:
    """Record the configuration beside the checkpoint, where it is written whole, and in the run."""
    text = to_json(config)
    with atomic_write(checkpoint_folder(run_id) / CONFIG_FILE) as file:
        file.write(text.encode())
    client.log_text(run_id, text, CONFIG_FILE)


def resumed_options(
    options: TrainOptions, recorded: dict[str, Any], given: Collection[str], run_id: str
) -> TrainOptions:
    """The recorded options, with more epochs if asked for."""
    asked = options.with_absolute_paths().flat()
    differing = changed(recorded, {name: asked[name] for name in given if name in asked})
    epochs = differing.pop("epochs", None)
    if epochs and asked["epochs"] < recorded["epochs"]:
        differing["epochs"] = epochs
    if differing:
        changes = "; ".join(
            f"{name} was {old}, now {new}" for name, (old, new) in differing.items()
        )
        raise SettingsError(
            f"run {run_id} cannot be resumed with other options ({changes}); "
            "only more epochs are allowed"
        )
    return TrainOptions.from_flat(recorded | ({"epochs": asked["epochs"]} if epochs else {}))


def given_to_mlflow(values: dict[str, Any]) -> set[str]:
    """Options that `mlflow run` was given: it passes every one on, so those off their default."""
    defaults = TrainOptions().flat()
    return {n for n, value in values.items() if as_text(value) != as_text(defaults.get(n))}


def new_run(client: MlflowClient, experiment: str, name: str, task: str, **tags: str) -> Run:
    """Open a run in the experiment of this name, which is created if there is none."""
    return create_run(client, experiment_id(client, experiment), name, {**tags, "task": task})


def create_run(client: MlflowClient, experiment_id: str, name: str, tags: Mapping[str, str]) -> Run:
    """Open a run with the tags that MLflow's own `start_run` gives: user, source, commit."""
    return client.create_run(experiment_id, run_name=name, tags=resolve_tags(dict(tags)))


def experiment_id(client: MlflowClient, name: str) -> str:
    """Id of the experiment, created if there is none of that name."""
    for _ in range(2):  # a second look, when another process has made it in between
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            if experiment.lifecycle_stage == "deleted":
                raise ModelError(f"experiment {name!r} is deleted; restore it or name another")
            return str(experiment.experiment_id)
        try:
            return client.create_experiment(name, tags=EXPERIMENT_TAGS)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    raise ModelError(f"experiment {name!r} can be neither found nor created")


def checkpoint_folder(run_id: str) -> Path:
    """Where a run's checkpoints lie until they are cleaned away."""
    return home() / "checkpoints" / run_id


@contextmanager
def hold(run_id: str) -> Iterator[None]:
    """Keep other processes from training the same run; the ranks of one group come in together."""
    folder = checkpoint_folder(run_id)
    folder.mkdir(parents=True, exist_ok=True)
    taken = ModelError(f"run {run_id} is being trained by another process")
    with hold_together(folder / "lock", taken):
        yield
