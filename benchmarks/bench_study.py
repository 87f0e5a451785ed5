"""What a study costs beside training: seconds per trial with an objective that trains nothing.

A trial is asked for, gets its run in MLflow, logs and reports 20 epochs, and ends; everything but
the training is the product's own. Medians over blocks of trials show whether the cost grows with
the study; it is set against a trial that trains for 60 s. Run for a SQLite store and for an MLflow
server over HTTP, then the tables and plots of the finished study.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path

import optuna
import requests
from optuna.trial import Trial
from real_data import real_data

from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.study import TrialTracker
from genre_mlflow.training.history import EpochResult, PassResult
from genre_mlflow.training.observer import Observer
from search.objective import begin_run
from search.report import write_report
from search.request import Request
from search.study import Search, open_search
from search.trials import Report
from search.worker import Worker

EPOCHS = 20
TRAINING_S = 60
BLOCK = 20
PORT = 5077


def instant(search: Search, trial: Trial, observers: Sequence[Observer]) -> float:
    """Log and report epochs whose accuracies depend on the setting, without training."""
    setting = search.space.suggest(trial, search.options)
    tracker = TrialTracker(begin_run(search, trial))
    report = Report(trial, set(), EPOCHS)
    accuracy = 0.0
    for epoch in range(1, EPOCHS + 1):
        right = round(600 * (1 - setting["dropout"] / 2) * epoch / (epoch + 5))
        result = PassResult(1.0, [[right, 1000 - right], [0, 0]])
        now_ms = int(time.time() * 1000)
        epoch_result = EpochResult(epoch, result, result, setting["lr"], 3.0, 200.0, now_ms)
        tracker.on_epoch_end(epoch_result, Path())
        report.on_epoch_end(epoch_result, Path())
        accuracy = max(accuracy, result.accuracy)
    return accuracy


class Timed(Worker):
    """A worker that notes the seconds from one trial's end to the next one's."""

    seconds: list[float]

    def run(self, trial: Trial) -> None:
        super().run(trial)
        now = time.perf_counter()
        self.seconds.append(now - self.before)
        self.before = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--pruner", default="none", help="none: every trial has all its epochs")
    parser.add_argument(
        "--stores", nargs="+", choices=["SQLite", "HTTP"], default=["SQLite", "HTTP"]
    )
    args = parser.parse_args()
    data = real_data()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    split = {"split_dir": str(data / "splits/gtzan-filtered"), "on_missing": "skip"}
    flat = {"data": str(data / "gtzan-mel"), "image_size": 32, "widths": (4,), **split}
    options = TrainOptions.from_flat({**flat, "epochs": EPOCHS})
    print(f"{args.trials} trials of {EPOCHS} epochs, pruner {args.pruner}\n")
    print("| MLflow store | trials | median s per trial | of a trial of 60 s |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["GENRE_HOME"] = str(folder / "home")
        for store, uri in (
            ("SQLite", f"sqlite:///{folder}/mlflow.db"),
            ("HTTP", f"http://127.0.0.1:{PORT}"),
        ):
            if store not in args.stores:
                continue
            request = Request(options, "bench", study=store, trials=args.trials, pruner=args.pruner)
            with server(folder) if store == "HTTP" else nothing():
                os.environ["MLFLOW_TRACKING_URI"] = uri
                search = open_search(request)
                worker = Timed(search, inf, objective=instant)
                worker.seconds, worker.before = [], time.perf_counter()
                worker.work()

                started = time.perf_counter()
                with tempfile.TemporaryDirectory() as report:
                    write_report(search.study, Path(report))
                    search.runs.parent.client.log_artifacts(search.runs.parent.id, report, "study")
                plots = time.perf_counter() - started
            for start in range(0, args.trials, BLOCK):
                block = worker.seconds[start : start + BLOCK]
                seconds = statistics.median(block)
                print(
                    f"| {store} | {start + 1} to {start + len(block)} | {seconds:.2f} | "
                    f"{seconds / TRAINING_S:.1%} |",
                    flush=True,
                )
            print(f"| {store} | tables and plots, once | {plots:.2f} | |", flush=True)


@contextmanager
def server(folder: Path) -> Iterator[None]:
    """A real MLflow server on SQLite."""
    command = [
        sys.executable, "-m", "mlflow", "server", "--port", str(PORT), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/server.db",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(240):
            try:
                requests.get(f"http://127.0.0.1:{PORT}/health", timeout=1)
                break
            except requests.RequestException:
                time.sleep(0.5)
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def nothing() -> Iterator[None]:
    yield


if __name__ == "__main__":
    main()
