"""Locks that all our processes on one MLflow store share."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import mlflow
from filelock import FileLock
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from genre_mlflow.errors import ModelError
from genre_mlflow.tracking.addresses import SQLITE, hidden, sqlite_file

OPENING, CHAMPION = 0x67656E7265, 0x67656E7266  # any numbers that are ours
FILES = {OPENING: "lock", CHAMPION: "champion.lock"}  # beside a SQLite store
DATABASE_LOCKS = {  # of a connection; they end with it
    "postgresql": "SELECT pg_advisory_lock({})",
    "mysql": "SELECT GET_LOCK('{}', -1)",
}


@contextmanager
def store_lock(uri: str, what: int = OPENING) -> Iterator[None]:
    """Hold a lock that all our processes on a store share: a file, or one within the database.

    Others wait. A process that dies lets go. A server has a lock for nobody: the block runs.
    """
    if uri.startswith(SQLITE):
        file = sqlite_file(uri)
        if not file.parent.is_dir():
            raise ModelError(f"the store {uri} lies in {file.parent}, which does not exist")
        with FileLock(file.with_name(f"{file.name}.{FILES[what]}")):
            yield
        return
    take = DATABASE_LOCKS.get(urlsplit(uri).scheme.partition("+")[0])
    if take is None:
        yield
        return
    with create_engine(uri, poolclass=NullPool).connect() as connection:
        connection.execute(text(take.format(what)))
        yield


@contextmanager
def champion_lock() -> Iterator[None]:
    """Hold the lock under which the registry's champions change."""
    uri = str(mlflow.get_registry_uri())
    try:
        with store_lock(uri, CHAMPION):
            yield
    except SQLAlchemyError as error:
        words = " ".join(str(error).partition("(Background on")[0].split())
        raise ModelError(f"the store {hidden(uri)} cannot be locked: {words}") from error
