"""Two processes that train one network together, against one process with as many threads.

One run, in turns, on the real images, the network of the default recipe: one process of one thread
and of two, then two processes of one thread by `torchrun`, with the same batches. Images a second
are those of epochs without the first one, in the median. The losses stand side by side; by how much
those of one process differ with its threads says what rounding alone does.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from real_data import real_data

from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.settings import SplitSettings
from genre_mlflow.corpus.splits import split
from genre_mlflow.data.cache import open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.files.ranks import own_rank
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.training.checkpoint import CheckpointFolder, NoCheckpoints
from genre_mlflow.training.device import device_of_rank, keep_freed_memory
from genre_mlflow.training.distributed import joined
from genre_mlflow.training.loop import fit
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.settings import TrainingSettings

ALONE = [sys.executable]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--procs", type=int, default=2)
    parser.add_argument("--image-size", type=int, default=PreprocessingSettings().image_size)
    parser.add_argument("--work", default="", help="Folder of the cache: be one of the processes.")
    args = parser.parse_args()
    data = real_data()
    if args.work:
        work(args, data)
        return
    ways = {
        "1 process, 1 thread": (ALONE, 1),
        f"1 process, {args.procs} threads": (ALONE, args.procs),
        f"{args.procs} processes, 1 thread each": (
            [*TORCHRUN, f"--nproc-per-node={args.procs}"],
            1,
        ),
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            for name, (how, threads) in ways.items():
                found[name].append(one(how, threads, folder))
    show(found, args.epochs)


def one(how: list[str], threads: int, folder: str) -> dict[str, Any]:
    """A training in processes of their own: images a second and losses, by epoch."""
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [*how, __file__, *sys.argv[1:], "--work", folder]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def work(args: argparse.Namespace, data: Path) -> None:
    """What each of the processes does; rank 0 prints what came of it."""
    keep_freed_memory()
    preprocessing = PreprocessingSettings(image_size=args.image_size)
    lists = SplitSettings(split_dir=str(data / "splits/gtzan-filtered"), on_missing="skip")
    manifest = split(scan(data / "gtzan-mel").manifest, lists).manifest
    genres = sorted(manifest["genre"].unique())
    rank, settings = own_rank(), TrainingSettings(epochs=args.epochs)
    with joined(rank) as ranks, tempfile.TemporaryDirectory() as folder:
        cache = open_cache(manifest, preprocessing, Path(args.work))
        tracks = {
            s: TrackDataset(manifest[manifest["split"] == s], genres, cache)
            for s in ("train", "val")
        }
        torch.manual_seed(0)
        classifier = Classifier(genres, VGG(statistics_share=0.0), preprocessing)
        checkpoints = CheckpointFolder(Path(folder)) if ranks.leads else NoCheckpoints()
        history = fit(
            classifier, tracks, settings, Observer(), checkpoints=checkpoints,
            device=device_of_rank("auto", rank), ranks=ranks,
        ).history  # fmt: skip
    if ranks.leads:
        losses = [(result.train.loss, result.val.loss) for result in history]
        print(json.dumps({"speeds": [r.images_per_s for r in history], "losses": losses}))


def show(found: dict[str, list[dict[str, Any]]], epochs: int) -> None:
    speeds = {
        name: statistics.median(speed for one in many for speed in one["speeds"][1:])
        for name, many in found.items()
    }
    print("| trained by | images a second, median | ratio |\n|---|---|---|")
    for name, speed in speeds.items():
        print(f"| {name} | {speed:.1f} | {speed / list(speeds.values())[1]:.2f} |")
    for place, part in enumerate(("training", "validation")):
        print(f"\n| {part} loss, epoch | {' | '.join(found)} |\n|---|{'---|' * len(found)}")
        for epoch in range(epochs):
            losses = [many[-1]["losses"][epoch][place] for many in found.values()]
            print(f"| {epoch + 1} | {' | '.join(f'{loss:.6f}' for loss in losses)} |")


if __name__ == "__main__":
    main()
