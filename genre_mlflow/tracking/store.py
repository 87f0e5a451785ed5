"""The MLflow store: reached, made ready once, and its errors in one line."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
import requests
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from sqlalchemy.exc import SQLAlchemyError

from genre_mlflow.errors import ModelError

SQLITE = "sqlite:///"
NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # what MLflow calls it
# The UI shows such an experiment with its views for model training.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
REACH_S = 10  # wait for a server this long before saying that it is not there
RUN_VARIABLE = "MLFLOW_RUN_ID"  # set by `mlflow run` for the process that it starts


def open_store() -> None:
    """Check that the store that MLflow's own settings name is there, and make it ready.

    A fresh SQLite file is set up under a lock: MLflow's migrations do not bear two processes at
    once. Raises `ModelError` for a store that cannot be reached.
    """
    uri = mlflow.get_tracking_uri()
    if urlsplit(uri).scheme in ("http", "https"):
        check_server(uri)
    try:
        with store_errors(), store_lock(uri):
            MlflowClient().search_experiments(max_results=1)
    except (SQLAlchemyError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"the store {uri} cannot be opened: {reason}") from error


def find_store() -> None:
    """The same for a command that only reads: it makes no store where there is none."""
    uri = mlflow.get_tracking_uri()
    if uri.startswith(SQLITE) and not sqlite_file(uri).exists():
        raise ModelError(
            f"there is no MLflow store {uri}; give the command in the folder where you trained, or "
            "set MLFLOW_TRACKING_URI"
        )
    open_store()


def sqlite_file(uri: str) -> Path:
    """The file of a SQLite store."""
    return Path(unquote(uri[len(SQLITE) :])).absolute()


def check_server(uri: str) -> None:
    """Ask a server for a sign of life, without MLflow's minutes of retries."""
    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=REACH_S)
    except requests.RequestException as error:
        raise ModelError(
            f"the MLflow server {uri} cannot be reached ({type(error).__name__}); start it, or "
            "set MLFLOW_TRACKING_URI to another store"
        ) from error


@contextmanager
def store_lock(uri: str) -> Iterator[None]:
    """Hold the lock file beside a SQLite store; any other store needs none."""
    if not uri.startswith(SQLITE):
        yield
        return
    file = sqlite_file(uri)
    if not file.parent.is_dir():
        raise ModelError(f"the store {uri} lies in {file.parent}, which does not exist")
    with FileLock(file.with_name(f"{file.name}.lock")):
        yield


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn MLflow's exceptions into ours, whose message is one line."""
    try:
        yield
    except MlflowException as error:
        text = " ".join(str(error.message).split())
        raise ModelError(f"MLflow: {text}") from error


def joined_run_id() -> str:
    """The run that `mlflow run` has opened for this process, or empty."""
    return os.environ.get(RUN_VARIABLE, "")


@contextmanager
def fetched(uri: str) -> Iterator[Path]:
    """A copy of what `uri` names, until the block ends. Raises `ModelError`."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = Path(download_artifacts(artifact_uri=uri, dst_path=folder))
        except OSError as error:
            raise ModelError(f"{uri} cannot be read: {error}") from error
        except MlflowException as error:
            text = " ".join(str(error.message).split())
            raise ModelError(
                f"MLflow: {text} (looked for in the store {mlflow.get_tracking_uri()})"
            ) from error
        yield path


def read_file(artifact_location: str, path: str, folder: Path) -> Path:
    """Download one file below an artifact location into `folder`. Raises `ModelError`."""
    try:
        repository = get_artifact_repository(artifact_location)
        return Path(repository.download_artifacts(path, str(folder)))
    except (MlflowException, OSError) as error:
        raise ModelError(f"{artifact_location} has no {path}") from error


def delete_files(artifact_location: str, path: str | None = None) -> None:
    """Delete files below an artifact location, and keep the entry they belong to."""
    with store_errors():
        get_artifact_repository(artifact_location).delete_artifacts(path)


def experiment_id(name: str) -> str:
    """Id of the experiment, created if there is none of that name."""
    client = MlflowClient()
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
