"""Models as trainings leave them, without a training, and servers that answer with them."""

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch

from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.doubt import Doubt
from genre_mlflow.model.estimators import KernelMachine
from genre_mlflow.model.familiarity import Familiarity, n_statistics
from genre_mlflow.model.networks.vgg import VGG

START_S = 300
TRACKS = 639  # of GTZAN's training set, of which the SVM keeps most, and familiarity all


def like_trained(genres: list[str], tracks: int = TRACKS) -> Classifier:
    """A classifier of default settings with all that a training gives it, of random numbers."""
    torch.manual_seed(0)
    classifier = Classifier(genres, VGG(), PreprocessingSettings(), doubt=Doubt(0.5, 0.1))
    for layer in classifier.network.modules():
        if isinstance(layer, KernelMachine):
            n = layer.vectors.shape[1]
            weights = torch.randn(len(genres), tracks) / tracks
            gamma = torch.tensor(1 / n)
            layer.fill(vectors=torch.randn(tracks, n), weights=weights, gamma=gamma)
    n = n_statistics(classifier.preprocessing)
    arrays = {
        "mean": torch.randn(n), "deviation": torch.rand(n) + 0.5,
        "references": torch.randn(tracks, n),
    }  # fmt: skip
    classifier.familiarity = Familiarity.of(arrays, 30.0)
    return classifier


def free_port() -> int:
    """A port of this machine that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ours(model: str, port: int) -> list[str]:
    """The command that serves a model of ours."""
    return [sys.executable, "-m", "genre_mlflow", "serve", "--model", model, "--port", str(port)]


def mlflows(model: str, port: int) -> list[str]:
    """MLflow's own command for any model."""
    return [
        sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", model,
        "--env-manager", "local", "--port", str(port),
    ]  # fmt: skip


@contextmanager
def serving(command: list[str], port: int) -> Iterator[psutil.Process]:
    """Run a server until the block ends; the block begins when it answers."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    server = subprocess.Popen(
        command, env={**os.environ, "PATH": path}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", server)
        yield psutil.Process(server.pid)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Until a server answers."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"no answer from {url} in {START_S} s: {server.args}")


def resident_mb(server: psutil.Process) -> float:
    """Memory of a server and all of its processes, in MB."""
    return sum(p.memory_info().rss for p in (server, *server.children(recursive=True))) / 1e6


def body_of(content: bytes) -> bytes:
    """A request about one file."""
    record = {"content": base64.b64encode(content).decode()}
    return json.dumps({"dataframe_records": [record]}).encode()


def post(port: int, body: bytes) -> Any:
    """What a server answers to a request; `OSError` where it refuses."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise OSError(f"status {response.status}: {text[:300]!r}")
    return json.loads(text)
