"""Record learning curves on the real images, for `bench_search.py` to replay.

A grid of learning rate, dropout and batch size is trained with the defaults for everything else;
the validation accuracy of each epoch is kept. The test set is not read. A recording that was
stopped goes on. 108 settings of 20 epochs at 64 pixels take 40 minutes on one core.
"""

import argparse
import itertools
import json
import tempfile
from pathlib import Path

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

LRS = [round(1e-4 * 10 ** (step / 4), 6) for step in range(9)]  # 1e-4 to 1e-2
DROPOUTS = [0.1, 0.3, 0.5, 0.7]
BATCH_SIZES = [16, 32, 64]


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
    known = {(c["lr"], c["dropout"], c["batch_size"]) for c in curves}
    for lr, dropout, batch_size in itertools.product(LRS, DROPOUTS, BATCH_SIZES):
        if (lr, dropout, batch_size) in known:
            continue
        settings = TrainingSettings(
            epochs=args.epochs, seed=args.seed, lr=lr, batch_size=batch_size
        )
        torch.manual_seed(args.seed)
        classifier = Classifier(genres, VGG(dropout=dropout, statistics_share=0.0), pixels)
        with tempfile.TemporaryDirectory() as folder:
            history = fit(
                classifier, tracks, settings, Observer(),
                checkpoints=CheckpointFolder(Path(folder)), device=choose_device(args.device),
            ).history  # fmt: skip
        accuracies = [round(result.val.accuracy, 4) for result in history]
        setting = {"lr": lr, "dropout": dropout, "batch_size": batch_size}
        curves.append(setting | {"val_accuracy": accuracies})
        with atomic_write(args.out) as file:
            lines = ",\n".join(json.dumps(curve) for curve in curves)
            file.write(f'{{"recorded": {json.dumps(head)}, "curves": [\n{lines}\n]}}\n'.encode())
        seconds = sum(result.seconds for result in history)
        print(f"{len(curves)} {setting}: {max(accuracies):.1%}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
