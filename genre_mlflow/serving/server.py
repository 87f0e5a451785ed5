"""Serving a model over HTTP: MLflow's scoring server, started in one step instead of three."""

import os
import shutil
import socket
import sys
from pathlib import Path

from genre_mlflow.errors import ModelError, SettingsError
from genre_mlflow.serving import process

DESCRIPTION = "MLmodel"  # MLflow's file in each folder that it can serve
THREADS = "OMP_NUM_THREADS"
# glibc's; others know none of these. Its arenas, eight a core, keep what threads have once asked
# for, and what it gives back after each answer has to be asked for again, page by page.
ALLOCATOR = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(64 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20),
    "MALLOC_TOP_PAD_": str(2**20),
}
NO_BARS = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


def serve(model: str, host: str, port: int, threads: int | None) -> None:
    """Become the server of a model. Raises `ModelError` and `SettingsError`."""
    with bound(host, port) as listener:  # kept from here on, so that nobody else takes it
        folder, is_copy = folder_of(model)
        try:
            command = serve_command(folder, listener.fileno(), is_copy)
            listener.set_inheritable(True)
            os.execve(command[0], command, environment(threads))
        finally:  # only where it has not become another
            if is_copy:
                shutil.rmtree(folder, ignore_errors=True)


def serve_command(folder: Path, descriptor: int, is_copy: bool) -> list[str]:
    """A new interpreter with the process that answers."""
    script = process.__file__
    return [sys.executable, "-P", script, str(folder), str(descriptor), str(int(is_copy))]


def environment(threads: int | None) -> dict[str, str]:
    """What the process is given; what the user has set counts, but for threads asked for."""
    given = {} if threads is None else {THREADS: str(threads)}
    return {**NO_BARS, **ALLOCATOR, THREADS: "1", **os.environ, **given}


def folder_of(model: str) -> tuple[Path, bool]:
    """Where a model's files lie, and whether that is a copy. Raises `ModelError`.

    A folder needs no MLflow, whose import takes seconds.
    """
    if ":/" in model:
        from genre_mlflow.tracking.servable import servable_folder

        return servable_folder(model)
    if not Path(model, DESCRIPTION).exists():
        raise ModelError(
            f"{model} cannot be served: it has no {DESCRIPTION}; registered versions have one"
        )
    return Path(model).absolute(), False


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens on the port. Raises `SettingsError` where another server has it.

    Who asks before the model is loaded waits for the answer.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()  # else another that binds so could still take it
    except OSError as error:
        listener.close()
        reason = error.strerror or error
        raise SettingsError(f"port {port} of {host} cannot be used: {reason}") from error
    return listener
