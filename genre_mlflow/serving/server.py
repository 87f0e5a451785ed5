"""Serving a model over HTTP, as `mlflow models serve` does."""

import os
import socket
import sys
from pathlib import Path

from genre_mlflow.errors import SettingsError


def serve_command(model_uri: str, host: str, port: int) -> list[str]:
    """The `mlflow models serve` of this very environment."""
    return [
        sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", model_uri,
        "--env-manager", "local", "--host", host, "--port", str(port),
    ]  # fmt: skip


def serve(model_uri: str, host: str, port: int) -> None:
    """Become the server; MLflow looks for `uvicorn` on PATH, so this environment comes first."""
    command = serve_command(model_uri, host, port)
    scripts = str(Path(sys.executable).parent)
    path = os.pathsep.join([scripts, os.environ.get("PATH", "")])
    no_bars = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    os.execve(command[0], command, {**no_bars, **os.environ, "PATH": path})


def check_port(host: str, port: int) -> None:
    """Raise `SettingsError` where another server has the port already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(f"port {port} of {host} cannot be used: {reason}") from error
