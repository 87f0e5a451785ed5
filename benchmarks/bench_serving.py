"""Latency of the served model against the same model called in process; medians, in turns.

Trains nothing: an untrained network of the default shape takes as long. `mlflow models serve`
runs on this machine; the client sends one real spectrogram as base64.
"""

import argparse
import base64
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient

from genre_mlflow.corpus.manifest import tracks_in
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.mlops.serving import log_classifier, serve_command
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.settings import NetworkSettings

START_S = 180


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    args = parser.parse_args()
    images = tracks_in(Path(os.environ["GENRE_REAL_DATA"]) / "gtzan-mel")
    picked = [images[i * len(images) // args.requests] for i in range(args.requests)]
    contents = [path.read_bytes() for path in picked]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        os.chdir(folder)
        client = MlflowClient()
        run = client.create_run(client.create_experiment("bench"))
        genres = sorted({path.parent.name for path in images})
        classifier = Classifier(genres, NetworkSettings(), PreprocessingSettings())
        model_uri = f"models:/{log_classifier(client, run, classifier, 1)}"
        model = mlflow.pyfunc.load_model(model_uri)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        server = subprocess.Popen(
            serve_command(model_uri, "127.0.0.1", port), env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(f"{url}/ping")
            ways: dict[str, Callable[[bytes], object]] = {
                "served over HTTP": lambda content: post(f"{url}/invocations", content),
                "pyfunc in process": lambda content: model.predict(
                    pd.DataFrame({"content": [content]})
                ),
                "classifier in process": classifier.predict,
            }
            report(ways, contents)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def report(ways: dict[str, Callable[[bytes], object]], contents: list[bytes]) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for content in contents:  # in turns, so that noise falls on all alike
        for name, call in ways.items():
            started = time.perf_counter()
            call(content)
            seconds[name].append(time.perf_counter() - started)
    print("| one image | p50, ms | p99, ms |\n|---|---|---|")
    for name, values in seconds.items():
        warm = sorted(values[10:])
        p99 = warm[int(len(warm) * 0.99)]
        print(f"| {name} | {1000 * statistics.median(warm):.1f} | {1000 * p99:.1f} |")


def post(url: str, content: bytes) -> object:
    body = {"dataframe_records": [{"content": base64.b64encode(content).decode()}]}
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def wait_for(url: str) -> None:
    for _ in range(START_S):
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise SystemExit(f"no answer from {url} in {START_S} s")


if __name__ == "__main__":
    main()
