"""Processor seconds and memory from the prompt to the answer, against what Python's imports need.

One short song is predicted with a model folder, and with an alias of an MLflow store; a training
begins its first epoch, on a corpus that is decoded already; servers, ours and MLflow's own, are
ready; mistakes are told. Every command is a process of its own, the kinds by turns; medians. The
goals: with a folder at most 1.3 times of `import torch` and the decoding, with an alias at most 1.2
times of `import torch, mlflow` and the decoding, a mistake within 1 s.

    python benchmarks/bench_start.py [--rounds 7]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import psutil
from endpoint import free_port, mlflows, ours, resident_mb, serving

SECONDS, RATE = 30, 22_050
ALIAS = "models:/genre-classifier@champion"
# Prints the processor seconds that decoding, drawing and answering take once all is imported.
DECODING = """
import resource, sys
from pathlib import Path
from genre_mlflow.model.classifier import Classifier
import torch
torch.set_num_threads(1)
classifier = Classifier.load(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF)
classifier.predict(Path(sys.argv[2]))
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
"""
# Trains until the first epoch begins.
BEGINNING = """
import os, sys, threading, time
def watch():
    while not hasattr(sys.modules.get("genre_mlflow.cli.bars"), "Bar"):
        time.sleep(0.005)
    sys.modules["genre_mlflow.cli.bars"].Bar.on_train_begin = lambda *_: os._exit(0)
threading.Thread(target=watch, daemon=True).start()
from genre_mlflow.cli.main import main
main(["train", *sys.argv[1:]])
"""
# By a small process, whose own memory is less than that of any command: it counts as theirs.
WAITING = """
import os, subprocess, sys, time
started = time.perf_counter()
nowhere = subprocess.DEVNULL
process = subprocess.Popen(sys.argv[1:], stdout=nowhere, stderr=nowhere)
used = os.wait4(process.pid, 0)[2]
print(time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


class Cost(NamedTuple):
    """Of a command until it has done what it is to do: seconds by the wall clock and of
    processors, and the memory of its processes, in MB."""

    wall_s: float
    processor_s: float
    mb: float


def main() -> None:
    """Make a model, a store and a song, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "GENRE_HOME": str(folder / ".genre"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        model, song = prepare(folder)
        program = [sys.executable, "-m", "genre_mlflow"]
        predict, alias = [*program, "predict", str(song), "--model"], ALIAS
        train = [sys.executable, "-c", BEGINNING, "--data", str(folder / "music")]
        subprocess.run(train, cwd=folder, capture_output=True, check=True)  # fills the cache
        commands = {
            "import torch": [sys.executable, "-c", "import torch"],
            "predict, model folder": [*predict, str(model)],
            "import torch, mlflow": [sys.executable, "-c", "import torch, mlflow"],
            "predict, alias": [*predict, alias],
            "train, first epoch": train,
            "train --help": [*program, "train", "--help"],
            "train --lr 0": [*program, "train", "--lr", "0"],
            "train --data nowhere": [*program, "train", "--data", "/nowhere"],
            "search --data nowhere": [*program, "search", "--data", "/nowhere"],
            "predict nowhere": [*program, "predict", "/nowhere"],
        }
        servers = {"serve, alias": (ours, ALIAS), "mlflow models serve, alias": (mlflows, ALIAS)}
        costs: dict[str, list[Cost]] = {kind: [] for kind in (*commands, *servers)}
        decoding = []
        for _ in range(args.rounds):
            decoding.append(
                float(
                    subprocess.run(
                        [sys.executable, "-c", DECODING, str(model), str(song)],
                        check=True, capture_output=True, text=True, cwd=folder,
                    ).stdout
                )
            )  # fmt: skip
            for kind, command in commands.items():
                costs[kind].append(cost_of(command, folder))
            for kind, (command_of, model_uri) in servers.items():
                costs[kind].append(cost_of_server(command_of, model_uri))
    medians = {
        kind: Cost(*(median(values) for values in zip(*many, strict=True)))
        for kind, many in costs.items()
    }
    show(medians, median(decoding))


def prepare(folder: Path) -> tuple[Path, Path]:
    """A registered model of default settings with fresh weights, its folder too, and a song."""
    import mlflow
    import soundfile

    from genre_mlflow.corpus.demo.images import DemoSettings, make_demo
    from genre_mlflow.features.settings import PreprocessingSettings
    from genre_mlflow.model.classifier import Classifier
    from genre_mlflow.model.networks.vgg import VGG
    from genre_mlflow.tracking.experiments import experiment_id
    from genre_mlflow.tracking.models import log_classifier
    from genre_mlflow.tracking.registry import RegisteredModel
    from genre_mlflow.tracking.run import TrackedRun
    from genre_mlflow.tracking.store import open_store

    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    os.chdir(folder)
    demo = DemoSettings(tracks_per_genre=8, duration_s=1.0)
    make_demo(folder / "music", demo, workers=1)
    classifier = Classifier(["blues", "jazz"], VGG(), PreprocessingSettings())
    classifier.save(folder / "model")
    open_store()
    run = TrackedRun.create(experiment_id("start"), "start", {})
    RegisteredModel("genre-classifier").register(log_classifier(run, classifier, 1), {})
    time_s = np.arange(SECONDS * RATE) / RATE
    song = folder / "song.wav"
    soundfile.write(song, 0.5 * np.sin(2 * np.pi * 440 * time_s), RATE)
    return folder / "model", song


def cost_of(command: list[str], folder: Path) -> Cost:
    """Of a process and its children, until it ends; the memory is that of the process at most."""
    told = subprocess.run(
        [sys.executable, "-c", WAITING, *command], check=True, capture_output=True, text=True,
        cwd=folder,
    ).stdout  # fmt: skip
    wall_s, processor_s, kib = map(float, told.split())
    return Cost(wall_s, processor_s, kib * 1024 / 1e6)


def cost_of_server(command_of: Callable[[str, int], list[str]], model_uri: str) -> Cost:
    """Of a server and its processes, until it answers."""
    port, started = free_port(), time.perf_counter()
    with serving(command_of(model_uri, port), port) as server:
        wall_s = time.perf_counter() - started
        used = [process_s(one) for one in (server, *server.children(recursive=True))]
        return Cost(wall_s, sum(used), resident_mb(server))


def process_s(process: psutil.Process) -> float:
    """Processor seconds of one process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def show(costs: dict[str, Cost], decoding: float) -> None:
    """A line a command, and the ratios."""
    print("| until done, or ready | processor, s | wall clock, s | memory, MB |\n|---|---|---|---|")
    for kind, cost in costs.items():
        print(f"| {kind} | {cost.processor_s:.2f} | {cost.wall_s:.2f} | {cost.mb:.0f} |")
    print(f"| decoding and answering | {decoding:.2f} | | |\n")
    seconds = {kind: cost.processor_s for kind, cost in costs.items()}
    for whole, theirs, goal in (
        ("predict, model folder", "import torch", 1.3),
        ("predict, alias", "import torch, mlflow", 1.2),
    ):
        ratio = seconds[whole] / (seconds[theirs] + decoding)
        print(f"{whole} / ({theirs} + decoding): {ratio:.2f} (goal: at most {goal})")


if __name__ == "__main__":
    main()
