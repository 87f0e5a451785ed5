"""Record learning curves on the real images, for `bench_search.py` to replay.

A grid of learning rate, dropout and batch size is trained with the defaults for everything else,
but without statistics, beside which all settings look alike: under one-cycle, and at a constant
rate that decays at the end. Each epoch's validation loss and accuracy, of the averaged weights, are
kept. The test set is not read. A recording that was stopped goes on. 60 settings of twice 20 epochs
at 64 pixels take 20 minutes on one core.
"""

import argparse
import itertools
import json
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
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.home import home
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import choose_device, keep_freed_memory
from genre_mlflow.training.loop import fit
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.settings import TrainingSettings

LRS = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2]
DROPOUTS = [0.1, 0.4, 0.7]
BATCH_SIZES = [8, 16, 32, 64]
SCHEDULES = ["one-cycle", "stable-decay"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    data = real_data()
    lists = SplitSettings(split_dir=str(data / "splits/gtzan-filtered"), on_missing="skip")
    manifest = split(scan(data / "gtzan-mel").manifest, lists).manifest
    genres = sorted(manifest["genre"].unique())
    pixels = PreprocessingSettings(image_size=args.image_size)
    cache = open_cache(manifest, pixels, home() / "cache")
    tracks = {
        name: TrackDataset(manifest[manifest["split"] == name], genres, cache)
        for name in ("train", "val")
    }
    keep_freed_memory()
    head = {"image_size": args.image_size, "epochs": args.epochs, "seed": args.seed}
    curves = json.loads(args.out.read_text())["curves"] if args.out.exists() else []
    known = {tuple(curve["setting"].values()) for curve in curves}
    for values in itertools.product(LRS, DROPOUTS, BATCH_SIZES):
        if values in known:
            continue
        lr, dropout, batch_size = values
        curve: dict[str, Any] = {
            "setting": {"lr": lr, "dropout": dropout, "batch_size": batch_size}
        }
        for schedule in SCHEDULES:
            settings = TrainingSettings(
                epochs=args.epochs, seed=args.seed, schedule=schedule, lr=lr, batch_size=batch_size
            )
            torch.manual_seed(args.seed)
            classifier = Classifier(genres, VGG(dropout=dropout, statistics_share=0.0), pixels)
            with tempfile.TemporaryDirectory() as folder:
                history = fit(
                    classifier, tracks, settings, Observer(),
                    checkpoints=CheckpointFolder(Path(folder)), device=choose_device(args.device),
                ).history  # fmt: skip
            curve[schedule] = {
                "val_loss": [round(result.val.loss, 4) for result in history],
                "val_accuracy": [round(result.val.accuracy, 4) for result in history],
            }
        curves.append(curve)
        with atomic_write(args.out) as file:
            lines = ",\n".join(json.dumps(curve) for curve in curves)
            file.write(f'{{"recorded": {json.dumps(head)}, "curves": [\n{lines}\n]}}\n'.encode())
        ends = ", ".join(f"{name} {min(curve[name]['val_loss']):.3f}" for name in SCHEDULES)
        print(f"{len(curves)} {curve['setting']}: {ends}", flush=True)


if __name__ == "__main__":
    main()
