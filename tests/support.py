"""What several tests use: small options, stores in folders of their own, real servers."""

import atexit
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from click.testing import Result
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run

from genre_mlflow.jobs.outcome import Outcome
from genre_mlflow.jobs.train import train
from genre_mlflow.options import TrainOptions
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.observer import Observer

SMALL = {
    "image_size": 32,
    "image_width": 32,
    "widths": (4, 8),
    "head_width": 8,
    "epochs": 3,
    "lr": 0.01,
    "stem": "pixels",
    "crop": 1.0,
    "statistics_share": 0.0,
    "mixup": 0.0,
    "ema_decay": 0.0,
}
START_S = 120
EXPERIMENT = "test"


def small_options(data: Path, **changes: object) -> TrainOptions:
    return TrainOptions.from_flat({**SMALL, "data": str(data), **changes})


def train_small(data: Path, **changes: object) -> Outcome:
    """A run of small options."""
    return train(small_options(data, **changes), experiment=EXPERIMENT)


def runs_in(client: MlflowClient, experiment: str = EXPERIMENT, words: str = "") -> list[Run]:
    """The runs of an experiment that fit a filter in MLflow's words, the oldest first."""
    found = client.get_experiment_by_name(experiment)
    order = ["attributes.start_time"]
    return list(client.search_runs([found.experiment_id], words, order_by=order))


def models_in(client: MlflowClient, **order: object) -> list[LoggedModel]:
    """The logged models of the experiment."""
    found = client.get_experiment_by_name(EXPERIMENT)
    return list(client.search_logged_models([found.experiment_id], **order))


def assert_mistake(result: Result, message: str) -> None:
    """A command has told a user's mistake, and no traceback."""
    assert result.exit_code == 2, result.output
    assert re.search(message, result.stderr), result.stderr
    assert "Traceback" not in result.output


class InterruptAfter(Observer):
    """Interrupts as the user would, when an epoch has ended."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        if result.epoch == self.epoch:
            raise KeyboardInterrupt


@dataclass(frozen=True)
class Trained:
    """A finished run in a store of its own."""

    outcome: Outcome
    client: MlflowClient
    options: TrainOptions
    folder: Path


@cache
def fresh_store() -> Path:
    """A SQLite store with MLflow's tables and nothing in them, which takes seconds to make."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
    return folder / "mlflow.db"


@contextmanager
def store_in(folder: Path, uri: str = "", like: Path | None = None) -> Iterator[MlflowClient]:
    """MLflow and derived files in `folder` while the block runs; `like`: a folder to begin with.

    What is logged to a run of that folder lies there, and is not copied.
    """
    folder.mkdir(exist_ok=True)
    if like:
        shutil.copytree(like / ".genre", folder / ".genre")
    if not uri:
        shutil.copy(like / "mlflow.db" if like else fresh_store(), folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", uri or f"sqlite:///{folder}/mlflow.db")
        patch.setenv("GENRE_HOME", str(folder / ".genre"))
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.delenv("MLFLOW_RUN_ID", raising=False)
        yield MlflowClient()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(
    command: list[str], url: str, folder: Path, env: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; its output is shown when it does not come up."""
    log = folder / "server.log"
    bin_folder = Path(sys.executable).parent
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, cwd=folder,
            env={**os.environ, "PATH": path, **env}, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(url, process, log)
        yield process
    finally:
        with suppress(ProcessLookupError):  # a test has killed it
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


@contextmanager
def tracking_server(
    folder: Path, backend: str = "", url: str = ""
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Address and process of a real `mlflow server` that also keeps artifacts, in `folder`.

    `url`: of a server that was there before and comes back.
    """
    url = url or f"http://127.0.0.1:{free_port()}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
        "--port", url.rpartition(":")[2], "--workers", "1",
        "--backend-store-uri", backend or f"sqlite:///{folder}/server.db",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    # Its queue of jobs, which nothing here uses, is six more processes of ten seconds each.
    env = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with server(command, f"{url}/health", folder, env) as process:
        yield url, process


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"no answer from {url}:\n{log.read_text()[-3000:]}")
