"""Writing a file so that it is never half there."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from genre_mlflow.files.names import hidden_name


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary neighbour of `path`; flush it to disk and rename it when all went well.

    A process killed at any moment leaves either the old file or the new one. The temporary name
    ends in `.partial`. Unlike `tempfile`'s files, those written here can be read by others as far
    as the umask allows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(hidden_name(path.name, f".{uuid.uuid4().hex}.partial"))
    try:
        with open(partial, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # writing to a full disk names no file
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, so that a renamed file outlives a power cut."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
