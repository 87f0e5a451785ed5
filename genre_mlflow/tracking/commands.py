"""Commands as a user can paste them: this environment's programs, and where the store is."""

import os
import shlex
import sys
from pathlib import Path
from urllib.parse import urlsplit

import mlflow

from genre_mlflow.files.home import HOME_VARIABLE
from genre_mlflow.tracking.addresses import HERE, SQLITE, is_plain, sqlite_file

UI_PORT = 5000


def genre_mlflow(words: str) -> str:
    """A call of our own command line."""
    return f"{environment()}{program('genre-mlflow')} {words}"


def mlflow_cli(words: str) -> str:
    """A call of MLflow's command line."""
    return f"{environment()}{program('mlflow')} {words}"


def resume(run_id: str, *, owned: bool) -> str:
    """How to go on with a run; one that `mlflow run` opened is joined by it again."""
    if owned:
        return genre_mlflow(f"train --resume {run_id}")
    return f"mlflow run . --run-id {run_id} -P resume={run_id}, with the other words of before"


def look(experiment_id: str, run_id: str) -> list[str]:
    """How to open the MLflow UI, unless a server is open already, and the address of the run."""
    uri = mlflow.get_tracking_uri().rstrip("/")
    if urlsplit(uri).scheme in ("http", "https"):
        return [page(uri, experiment_id, run_id)]
    named = not is_store_here() or not is_plain(Path.cwd())
    store = f" --backend-store-uri {shlex.quote(uri)}" if named else ""
    command = f"{program('mlflow')} ui --port {UI_PORT}{store}"
    return [command, page(f"http://127.0.0.1:{UI_PORT}", experiment_id, run_id)]


def page(server: str, experiment_id: str, run_id: str) -> str:
    """The page of a run; without the last word MLflow shows it among agents and their traces."""
    return f"{server}/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"


def is_store_here() -> bool:
    """True for the store that MLflow would take in this folder by itself."""
    uri = mlflow.get_tracking_uri()
    return uri.startswith(SQLITE) and sqlite_file(uri) == sqlite_file(HERE)


def environment() -> str:
    """Variables that a command needs in front of it to find the store and the derived files."""
    variables = {} if is_store_here() else {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()}
    if HOME_VARIABLE in os.environ:
        variables[HOME_VARIABLE] = os.environ[HOME_VARIABLE]
    return "".join(f"{name}={shlex.quote(value)} " for name, value in variables.items())


def program(name: str) -> str:
    """A program of this environment, callable without activating it.

    The path is relative where the store is: there the user stands in this very folder, which a
    process started by `mlflow run` from elsewhere does not.
    """
    if sys.prefix == sys.base_prefix:
        return name
    path = Path(sys.prefix) / "bin" / name
    if is_store_here() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return shlex.quote(str(path))
