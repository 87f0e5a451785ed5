"""Locks that processes hold by files, on every system."""

import getpass
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from genre_mlflow.errors import GenreError


@contextmanager
def hold_lock(file: Path, taken: GenreError) -> Iterator[None]:
    """Hold the lock of a file until the block ends; raise `taken` at once if another holds it.

    A killed process lets go. The file may stay behind: who deletes it could let in two at a time.
    """
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise taken from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Wait until no other thread and no other process of this user on this machine does `what`."""
    with FileLock(Path(tempfile.gettempdir(), f"genre-mlflow-{user()}-{what}.lock")):
        yield


def user() -> str:
    """Who this is, where the system knows it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number without a name
        return "nobody"
