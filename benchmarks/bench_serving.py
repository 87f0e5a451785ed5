"""Latency of the served model against the same model called in process, and where the time goes.

Trains nothing: an untrained network of the default shape takes as long. `mlflow models serve`
runs on this machine; the client sends one real spectrogram, or one real recording of 30 s as FLAC,
as base64. Medians, in turns; requests per second with several clients at once.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from real_data import real_data

from genre_mlflow.corpus.folders import look_below
from genre_mlflow.features.audio import decode
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.features.spectrogram import log_mel, render
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.serving.server import serve_command
from genre_mlflow.tracking.experiments import experiment_id
from genre_mlflow.tracking.models import log_classifier
from genre_mlflow.tracking.run import TrackedRun

START_S = 180


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    args = parser.parse_args()
    data = real_data()
    images = look_below(data / "gtzan-mel")[0]
    contents = {
        "image": spread(images, args.requests),
        "FLAC of 30 s": spread(look_below(data / "gtzan-audio")[0], args.requests),
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        os.chdir(folder)
        run = TrackedRun.create(experiment_id("bench"), "bench", {})
        genres = sorted({path.parent.name for path in images})
        classifier = Classifier(genres, VGG(), PreprocessingSettings())
        model_uri = f"models:/{log_classifier(run, classifier, 1)}"
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
            for what, many in contents.items():
                report(what, ways, many)
                rate = throughput(ways["served over HTTP"], many, args.clients)
                print(f"\n{args.clients} clients: {rate:.1f} requests of one {what} a second\n")
            stages(classifier, contents["FLAC of 30 s"])
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def spread(paths: list[Path], n: int) -> list[bytes]:
    """Contents of `n` files, spread over all of them."""
    return [paths[i * len(paths) // n].read_bytes() for i in range(n)]


def report(what: str, ways: dict[str, Callable[[bytes], object]], contents: list[bytes]) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for content in contents:  # in turns, so that noise falls on all alike
        for name, call in ways.items():
            started = time.perf_counter()
            call(content)
            seconds[name].append(time.perf_counter() - started)
    print(f"| one {what} | p50, ms | p99, ms |\n|---|---|---|")
    for name, values in seconds.items():
        warm = sorted(values[min(10, len(values) // 2) :])
        p99 = warm[int(len(warm) * 0.99)]
        print(f"| {name} | {1000 * statistics.median(warm):.1f} | {1000 * p99:.1f} |")


def throughput(call: Callable[[bytes], object], contents: list[bytes], clients: int) -> float:
    """Requests a second when so many clients each wait for one answer after the other."""
    with ThreadPoolExecutor(clients) as pool:
        started = time.perf_counter()
        list(pool.map(call, contents))
        return len(contents) / (time.perf_counter() - started)


def stages(classifier: Classifier, contents: list[bytes]) -> None:
    """Median time of each step from a recording to an answer, in process."""
    seconds: dict[str, list[float]] = {}

    def timed(name: str, call: Callable[..., Any], value: Any) -> Any:
        started = time.perf_counter()
        found = call(value)
        seconds.setdefault(name, []).append(time.perf_counter() - started)
        return found

    for content in contents:
        data = timed("base64", base64.b64decode, base64.b64encode(content))
        samples = timed("decode", decode, data)
        matrix = timed("log-mel", log_mel, samples)
        image = timed("image", render, matrix)
        pixels = timed("border and size", classifier.preprocessor.prepare, image)
        timed("network", classifier.predict_pixels, pixels)
    print("| step of a FLAC of 30 s | p50, ms |\n|---|---|")
    for name, values in seconds.items():
        print(f"| {name} | {1000 * statistics.median(values):.1f} |")


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
