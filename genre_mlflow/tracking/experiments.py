"""Experiments of MLflow: found by name, made where their artifacts can be kept."""

import logging
from pathlib import Path
from urllib.parse import quote

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from genre_mlflow.errors import ModelError
from genre_mlflow.tracking import commands
from genre_mlflow.tracking.addresses import is_plain, is_server
from genre_mlflow.tracking.artifacts import (
    ARTIFACTS,
    check_is_there,
    check_usable,
    is_out_of_reach,
    local_path,
    moved_from,
)

# The UI shows such an experiment with its views for model training.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
ATTEMPTS = 3  # another process may make it, or set it aside, at the same time

logger = logging.getLogger(__name__)


def experiment_id(name: str) -> str:
    """Id of the experiment, created if there is none of that name.

    Raises `ModelError` for one that is deleted, or whose artifacts cannot be kept.
    """
    client = MlflowClient()
    for _ in range(ATTEMPTS):
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return client.create_experiment(name, artifact_place(name), EXPERIMENT_TAGS)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                continue
        if experiment.lifecycle_stage == "deleted":
            words = f"experiments restore --experiment-id {experiment.experiment_id}"
            raise ModelError(
                f"experiment {name!r} is deleted; name another, or restore it with: "
                f"{commands.mlflow_cli(words)}"
            )
        place = experiment.artifact_location
        if not is_out_of_reach(place):
            check_usable(place)
            return str(experiment.experiment_id)
        if moved_from(Path(str(local_path(place)))) is None:
            check_is_there(f"experiment {name!r}", place)
        set_aside(client, experiment)
    raise ModelError(f"experiment {name!r} can be neither found nor created")


def artifact_place(name: str) -> str | None:
    """Where a new experiment keeps its files, None where MLflow is to say.

    It would take `%`, `#` and `?` in the name of a folder for parts of an address.
    """
    here = Path.cwd()
    if is_server(mlflow.get_tracking_uri()) or is_plain(here):
        return None
    return f"{(here / ARTIFACTS).as_uri()}/{quote(name, safe='')}"


def set_aside(client: MlflowClient, experiment: Experiment) -> None:
    """Give another name to an experiment whose project was moved: a new one is to have its own.

    MLflow keeps whole paths, and would make the old folders again.
    """
    folder = local_path(experiment.artifact_location)
    name = f"{experiment.name}, once in {folder} ({experiment.experiment_id})"
    client.rename_experiment(experiment.experiment_id, name)
    logger.info(
        "Experiment %s kept its files in %s, which is gone; it is called %r now, and a new %s is "
        "made here", experiment.name, folder, name, experiment.name,
    )  # fmt: skip
