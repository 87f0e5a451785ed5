"""Latency of the served model against the same model in process, and against plain MLflow.

Trains nothing: a network of the default shape with random numbers takes as long. `genre-mlflow
serve` runs on this machine, and beside it `mlflow models serve` of the same torch network as
`mlflow.pytorch` logs it, to which a client sends the pixels as JSON, which it has to make itself;
that is not counted. One real spectrogram, or one real recording of 30 s as FLAC, as base64.
Medians, in turns; requests per second with several clients at once; memory of both servers.

    python benchmarks/bench_serving.py [--requests 200] [--before CHECKOUT]

`--before`: an older checkout, whose classifier answers in turns with all others.
"""

import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from endpoint import body_of, free_port, like_trained, mlflows, ours, post, resident_mb, serving
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from onnxruntime import InferenceSession, SessionOptions
from real_data import real_data

from genre_mlflow.corpus.folders import look_below
from genre_mlflow.features.audio import decode
from genre_mlflow.features.spectrogram import log_mel, render
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.onnx_file import INPUT, LOGITS, to_onnx
from genre_mlflow.tracking.experiments import experiment_id
from genre_mlflow.tracking.models import log_classifier
from genre_mlflow.tracking.run import TrackedRun

GENRES = [f"genre {n}" for n in range(10)]
HTTP, PLAIN, BEFORE = "served over HTTP", "mlflow.pytorch over HTTP", "classifier before"
Call = Callable[[Path], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="in process")
    parser.add_argument("--before", default="", metavar="CHECKOUT")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = real_data()
    files = {
        "image": some(look_below(data / "gtzan-mel")[0], args.requests),
        "FLAC of 30 s": some(look_below(data / "gtzan-audio")[0], args.requests),
    }
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        model_uri, classifier = logged_model(folder)
        plain_uri = logged_plainly(classifier)
        model = mlflow.pyfunc.load_model(model_uri)
        ports = free_port(), free_port()
        server = stack.enter_context(serving(ours(model_uri, ports[0]), ports[0]))
        plain = stack.enter_context(serving(mlflows(plain_uri, ports[1]), ports[1]))
        settled = Classifier.load(folder / "model").settle()
        ways: dict[str, Call] = {
            HTTP: lambda path: post(ports[0], body_of(path.read_bytes())),
            "pyfunc in process": lambda path: model.predict(
                pd.DataFrame({"content": [path.read_bytes()]})
            ),
            "classifier in process": lambda path: settled.predict(path.read_bytes()),
        }
        if args.before:
            ways[BEFORE] = stack.enter_context(answering(args.before, folder / "model"))
        tensors = {path: tensor_body(classifier, path) for path in files["image"]}
        for what, many in files.items():
            of_images = {PLAIN: lambda path: post(ports[1], tensors[path])}
            report(what, {**ways, **of_images} if what == "image" else ways, many)
            rate = throughput(ways[HTTP], many, args.clients)
            print(f"\n{args.clients} clients: {rate:.1f} requests of one {what} a second\n")
        print(f"memory: {resident_mb(server):.0f} MB, mlflow.pytorch {resident_mb(plain):.0f} MB\n")
        stages(settled, [path.read_bytes() for path in files["FLAC of 30 s"]])


def some(paths: list[Path], n: int) -> list[Path]:
    """`n` files, spread over all of them."""
    return [paths[i * len(paths) // n] for i in range(n)]


def logged_model(folder: Path) -> tuple[str, Classifier]:
    """A model in a store of its own in `folder`, and in the folder `model`."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.chdir(folder)
    classifier = like_trained(GENRES)
    classifier.save(folder / "model")
    run = TrackedRun.create(experiment_id("bench"), "bench", {})
    return f"models:/{log_classifier(run, classifier, 1)}", classifier


def logged_plainly(classifier: Classifier) -> str:
    """The same torch network as `mlflow.pytorch` logs it."""
    pixels = TensorSpec(np.dtype(np.uint8), (-1, *classifier.preprocessing.shape))
    logged = mlflow.pytorch.log_model(
        classifier.network.eval(), name="plain", signature=ModelSignature(Schema([pixels])),
        pip_requirements=[], serialization_format="pickle",
    )  # fmt: skip
    return str(logged.model_uri)


def tensor_body(classifier: Classifier, path: Path) -> bytes:
    """What a client of that one sends: pixels."""
    pixels, _ = classifier.read(path)
    return json.dumps({"inputs": pixels.tolist()}).encode()


@contextmanager
def answering(checkout: str, model: Path) -> Iterator[Call]:
    """The classifier of another checkout, which answers in a process of its own."""
    script = Path(__file__).parent / "answer_times.py"
    env = {**os.environ, "PYTHONPATH": checkout}
    with subprocess.Popen(
        [sys.executable, str(script), str(model)], env=env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout
        asked, told = process.stdin, process.stdout
        assert told.readline() == "ready\n"

        def answer(path: Path) -> None:
            print(path, file=asked, flush=True)
            told.readline()

        yield answer
        asked.close()


def report(what: str, ways: dict[str, Call], paths: list[Path]) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for path in paths:  # in turns, so that noise falls on all alike
        for name, call in ways.items():
            started = time.perf_counter()
            call(path)
            seconds[name].append(time.perf_counter() - started)
    print(f"| one {what} | p50, ms | p99, ms | p99 / p50 |\n|---|---|---|---|")
    medians = {}
    for name, values in seconds.items():
        warm = sorted(values[min(10, len(values) // 2) :])
        p50, p99 = statistics.median(warm), warm[int(len(warm) * 0.99)]
        medians[name] = p50
        print(f"| {name} | {1000 * p50:.1f} | {1000 * p99:.1f} | {p99 / p50:.2f} |")
    for other in (BEFORE, PLAIN):
        if other in medians:
            print(f"{HTTP} / {other}: {medians[HTTP] / medians[other]:.2f}")


def throughput(call: Call, paths: list[Path], clients: int) -> float:
    """Requests a second when so many clients each wait for one answer after the other."""
    with ThreadPoolExecutor(clients) as pool:
        started = time.perf_counter()
        list(pool.map(call, paths))
        return len(paths) / (time.perf_counter() - started)


def stages(classifier: Classifier, contents: list[bytes]) -> None:
    """Median time of each step from a recording to an answer, in process."""
    seconds: dict[str, list[float]] = {}
    options = SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = InferenceSession(to_onnx(classifier), options, providers=["CPUExecutionProvider"])

    def in_onnx(pixels: torch.Tensor) -> object:
        return session.run([LOGITS], {INPUT: pixels.numpy()})

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
        timed("network", classifier.logits, pixels)
        timed("the same in ONNX Runtime", in_onnx, pixels)
        timed("whether foreign", classifier.foreign_score, pixels)
    print("| step of a FLAC of 30 s | p50, ms |\n|---|---|")
    for name, values in seconds.items():
        print(f"| {name} | {1000 * statistics.median(values):.1f} |")


if __name__ == "__main__":
    main()
