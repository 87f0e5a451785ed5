"""Processor seconds from the prompt to the answer, against what Python needs for its imports.

One short song is predicted with a model folder, and with an alias of an MLflow store; mistakes are
told. Every command is a process of its own, the kinds by turns; medians. The goals: with a folder
at most 1.3 times of `import torch` and the decoding, with an alias at most 1.2 times of
`import torch, mlflow` and the decoding, a mistake within 1 s.

    python benchmarks/bench_start.py [--rounds 7]
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

SECONDS, RATE = 30, 22_050
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
        ours = [sys.executable, "-m", "genre_mlflow"]
        predict, alias = (
            [*ours, "predict", str(song), "--model"],
            "models:/genre-classifier@champion",
        )
        commands = {
            "import torch": [sys.executable, "-c", "import torch"],
            "predict, model folder": [*predict, str(model)],
            "import torch, mlflow": [sys.executable, "-c", "import torch, mlflow"],
            "predict, alias": [*predict, alias],
            "train --help": [*ours, "train", "--help"],
            "train --lr 0": [*ours, "train", "--lr", "0"],
            "train --data nowhere": [*ours, "train", "--data", "/nowhere"],
            "search --data nowhere": [*ours, "search", "--data", "/nowhere"],
            "predict nowhere": [*ours, "predict", "/nowhere"],
        }
        seconds: dict[str, list[float]] = {kind: [] for kind in commands}
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
                seconds[kind].append(processor_seconds(command, folder))
    show({kind: median(values) for kind, values in seconds.items()}, median(decoding))


def prepare(folder: Path) -> tuple[Path, Path]:
    """A registered model of default settings with fresh weights, its folder too, and a song."""
    import mlflow
    import soundfile

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
    classifier = Classifier(["blues", "jazz"], VGG(), PreprocessingSettings())
    classifier.save(folder / "model")
    open_store()
    run = TrackedRun.create(experiment_id("start"), "start", {})
    RegisteredModel("genre-classifier").register(log_classifier(run, classifier, 1), {})
    time_s = np.arange(SECONDS * RATE) / RATE
    song = folder / "song.wav"
    soundfile.write(song, 0.5 * np.sin(2 * np.pi * 440 * time_s), RATE)
    return folder / "model", song


def processor_seconds(command: list[str], folder: Path) -> float:
    """User and system time of a process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def show(seconds: dict[str, float], decoding: float) -> None:
    """A line a command, and the ratios."""
    for kind, value in seconds.items():
        print(f"{kind:24} {value:6.2f} s")
    print(f"{'decoding and answering':24} {decoding:6.2f} s")
    for ours, theirs, goal in (
        ("predict, model folder", "import torch", 1.3),
        ("predict, alias", "import torch, mlflow", 1.2),
    ):
        ratio = seconds[ours] / (seconds[theirs] + decoding)
        print(f"{ours} / ({theirs} + decoding): {ratio:.2f} (goal: at most {goal})")


if __name__ == "__main__":
    main()
