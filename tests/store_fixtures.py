"""Fixtures of the rooms that need a store: larger corpora, a real MLflow server over HTTP."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from support import free_port, server


@pytest.fixture(scope="session")
def make_corpus(make_corpus: Callable[..., Path]) -> Callable[..., Path]:
    """Corpora that are large enough for a test set of two tracks a genre."""
    return partial(make_corpus, tracks=20)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real `mlflow server` that also proxies artifacts."""
    folder = tmp_path_factory.mktemp("mlflow-server")
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
        "--port", url.rpartition(":")[2], "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/server.db",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with server(command, f"{url}/health", folder, {"MLFLOW_DISABLE_TELEMETRY": "true"}):
        yield url
