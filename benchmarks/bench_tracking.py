"""What tracking costs an epoch: SQLite and a real server over HTTP, in turns, in one run.

Of each epoch: seconds that the training waits (what `Sender` takes), and seconds that the same
epoch takes in the store, as a training without the sender would wait for it. Both are set against
an epoch of 10 s. The weights have the size of the default network's.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.model.weights import to_safetensors
from genre_mlflow.tracking.experiments import experiment_id
from genre_mlflow.tracking.observer import RunTracker
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sender import sending
from genre_mlflow.tracking.store import open_store
from genre_mlflow.training.history import EpochResult, PassResult

EPOCH_S = 10.0
GENRES = [f"genre {number}" for number in range(10)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8, help="of each store and way")
    args = parser.parse_args()
    seconds: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["GENRE_HOME"] = str(folder / ".genre")
        os.chdir(folder)
        weights = folder / "weights"
        classifier = Classifier(GENRES, VGG(), PreprocessingSettings())
        weights.write_bytes(to_safetensors(classifier.network.state_dict()))
        with server(folder) as url:
            stores = {"SQLite": f"sqlite:///{folder}/mlflow.db", "HTTP": url}
            for turn in range(2):
                for store, uri in stores.items():
                    os.environ["MLFLOW_TRACKING_URI"] = uri
                    open_store()
                    for way, measured in (("in the store", direct), ("waits", beside)):
                        run = TrackedRun.create(experiment_id("bench"), f"{way} {turn}", {})
                        run.dataset = ("bench", "0")
                        found = measured(run, classifier, weights, args.epochs)
                        seconds.setdefault((store, way), []).extend(found[1:])
    print("| store | training waits, s | in the store, s | share of 10 s | without sender |")
    print("|---|---|---|---|---|")
    for store in stores:
        waits, direct_s = (
            statistics.median(seconds[store, way]) for way in ("waits", "in the store")
        )
        print(
            f"| {store} | {waits:.3f} | {direct_s:.3f} | {waits / EPOCH_S:.2%} | "
            f"{direct_s / EPOCH_S:.2%} |"
        )


def direct(run: TrackedRun, classifier: Classifier, weights: Path, epochs: int) -> list[float]:
    """Seconds of each epoch that is written as it ends."""
    tracker = RunTracker(run, classifier.config(), "best-last")
    found = []
    for epoch in range(1, epochs + 1):
        started = time.perf_counter()
        tracker.on_epoch_end(result_of(epoch), weights)
        found.append(time.perf_counter() - started)
    return found


def beside(run: TrackedRun, classifier: Classifier, weights: Path, epochs: int) -> list[float]:
    """Seconds that a training waits for each epoch that is written beside it."""
    found = []
    with sending(run, classifier.config(), "best-last") as sender:
        sender.on_train_begin([], epochs)
        for epoch in range(1, epochs + 1):
            started = time.perf_counter()
            sender.on_epoch_end(result_of(epoch), weights)
            found.append(time.perf_counter() - started)
            sender.flush()
    return found


def result_of(epoch: int) -> EpochResult:
    """An epoch that is better than the one before."""
    confusion = [[5 + epoch if row == column else 1 for column in range(10)] for row in range(10)]
    result = PassResult(1 / epoch, confusion)
    now_ms = int(time.time() * 1000)
    return EpochResult(epoch, result, result, 0.01, EPOCH_S, 100.0, now_ms)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Address of a real `mlflow server` on SQLite that keeps artifacts, too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/server.db",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PATH": path()}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | own, start_new_session=True
        )
    try:
        while process.poll() is None and not answers(url):
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def answers(url: str) -> bool:
    """Whether the server is up."""
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.RequestException:
        return False


def path() -> str:
    """Where this environment's programs are, first."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


if __name__ == "__main__":
    main()
