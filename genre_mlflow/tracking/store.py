"""The MLflow store: reached, made ready once, and its errors in one line."""

import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import mlflow
import requests
from mlflow import MlflowClient
from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_TIMEOUT
from mlflow.exceptions import MlflowException
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from genre_mlflow.errors import ModelError
from genre_mlflow.tracking import commands
from genre_mlflow.tracking.addresses import (
    HERE,
    SQLITE,
    check_address,
    hidden,
    is_plain,
    is_server,
    sqlite_file,
)
from genre_mlflow.tracking.commands import is_store_here
from genre_mlflow.tracking.locks import store_lock

NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # what MLflow calls it
URI_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
REACH_S = 10  # wait for a server this long before saying that it is not there
LOCKED_S = 90  # wait this long for another program that writes into a SQLite store
BUSY = "PRAGMA busy_timeout"
# Packages by what is imported of them, for artifacts that lie elsewhere.
PACKAGES = {"botocore": "boto3", "google": "google-cloud-storage", "azure": "azure-storage-blob"}
BEFORE_WORDS = re.compile(r"^(\(raised as a result of [^)]*\) )?(\([\w.]+\) )?")
DELETED_RUN = re.compile(r"The run (\w+) must be in the 'active' state")
IN_HASTE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "3"}
RUN_VARIABLE = "MLFLOW_RUN_ID"  # set by `mlflow run` for the process that it starts


def open_store() -> None:
    """Check that the store that MLflow's own settings name is there, and make it ready.

    A fresh database is set up under a lock: MLflow's migrations do not bear two processes at
    once. Raises `ModelError` for a store that cannot be reached.
    """
    uri = store_address()
    if is_server(uri):
        check_server(uri)
    wait_for_locks()
    try:
        with store_errors(), store_lock(uri):
            MlflowClient().search_experiments(max_results=1)
    except (SQLAlchemyError, ImportError) as error:
        raise ModelError(
            f"the store {hidden(uri)} cannot be opened: {first_words(error)}"
        ) from error


def find_store() -> None:
    """The same for a command that only reads: it makes no store where there is none."""
    uri = store_address()
    if uri.startswith(SQLITE) and not sqlite_file(uri).exists():
        raise ModelError(
            f"there is no MLflow store {uri}; give the command in the folder where you trained, or "
            "set MLFLOW_TRACKING_URI"
        )
    open_store()


def store_address() -> str:
    """The address that MLflow's own settings name. Raises `ModelError` for a slip of the pen.

    Its default for a folder such as `my music` would have it make an empty `my%20music` beside.
    """
    for name in URI_VARIABLES:
        check_address(name, os.environ.get(name, ""))
    if URI_VARIABLES[0] not in os.environ and is_store_here() and not is_plain(Path.cwd()):
        mlflow.set_tracking_uri(HERE)
    return str(mlflow.get_tracking_uri())


def first_words(error: Exception | str) -> str:
    """What a database or an import says, in one line, without the statement and its values.

    Nor with what SQLAlchemy puts before it: the class of the error, and when it was raised.
    """
    words = " ".join(str(error).partition("[SQL:")[0].partition("(Background on")[0].split())
    return BEFORE_WORDS.sub("", words) or words


def check_server(uri: str) -> None:
    """Ask a server for a sign of life, without MLflow's minutes of retries.

    One that is there may take its time for the first answer, as long as MLflow would wait.
    """
    patience_s = MLFLOW_HTTP_REQUEST_TIMEOUT.get()
    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=(REACH_S, patience_s))
    except requests.RequestException as error:
        raise ModelError(
            f"the MLflow server {hidden(uri)} cannot be reached ({type(error).__name__}); start "
            "it, or set MLFLOW_TRACKING_URI to another store"
        ) from error


def wait_for_locks() -> None:
    """Let this process wait longer than MLflow's 20 s for others that write into a SQLite store."""
    if not event.contains(Engine, "before_cursor_execute", with_patience):
        event.listen(Engine, "connect", be_patient)
        event.listen(Engine, "before_cursor_execute", with_patience, retval=True)


def be_patient(connection: Any, record: Any) -> None:
    """Until MLflow says how long to wait, SQLite itself does."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"{BUSY} = {LOCKED_S * 1000}")


def with_patience(
    connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    """The statement, another one where MLflow says how long to wait: it has no setting for it."""
    if statement.startswith(BUSY):
        statement = f"{BUSY} = {LOCKED_S * 1000}"
    return statement, parameters


def impatient() -> AbstractContextManager[None]:
    """Ask a server once and wait for seconds, not minutes, while the block runs."""
    return environment(IN_HASTE)


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables, which MLflow reads at each call, while the block runs."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn MLflow's exceptions into ours, whose message is one line."""
    try:
        yield
    except MlflowException as error:
        raise ModelError(in_our_words(str(error.message))) from error
    except ImportError as error:  # of a store of artifacts such as S3
        raise ModelError(
            f"MLflow: {first_words(error)}; install the package {package_of(error)}"
        ) from error


def package_of(error: ImportError) -> str:
    """What has to be installed."""
    name = error.name or str(error)
    return PACKAGES.get(name.partition(".")[0], name)


def in_our_words(message: str) -> str:
    """What MLflow says, in one line and with what to do where that is known."""
    gone = DELETED_RUN.search(message)
    if gone:
        command = commands.mlflow_cli(f"runs restore --run-id {gone[1]}")
        return f"run {gone[1]} was deleted; restore it with: {command}"
    words = first_words(message)
    if "database is locked" in words:
        return f"MLflow: {words}; another program has held it for {LOCKED_S} s"
    return f"MLflow: {words}"


def joined_run_id() -> str:
    """The run that `mlflow run` has opened for this process, or empty."""
    return os.environ.get(RUN_VARIABLE, "")
