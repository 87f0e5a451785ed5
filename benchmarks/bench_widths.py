"""Widths of the network: validation accuracy against seconds per epoch, on the real images.

The test set is not read. Accuracy is the best epoch's, averaged over the seeds; seconds are the
median over epochs, so run it on an idle machine for those: `--epochs 3` is enough for the seconds.
"""

import argparse
import statistics
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
from genre_mlflow.files.home import home
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import choose_device, keep_freed_memory
from genre_mlflow.training.history import EpochResult, best_epoch
from genre_mlflow.training.loop import fit
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.settings import TrainingSettings


def pixels(widths: tuple[int, ...], convs: int = 1) -> VGG:
    """A network that reads pixels and has learnt all that it knows."""
    return VGG(stem="pixels", widths=widths, convs_per_block=convs, statistics_share=0.0)


NETWORKS = {
    "8-128": pixels((8, 16, 32, 64, 128)),
    "16-256": pixels((16, 32, 64, 128, 256)),
    "24-256": pixels((24, 48, 96, 192, 256)),
    "16-256, 2 convs": pixels((16, 32, 64, 128, 256), convs=2),
    "32-512": pixels((32, 64, 128, 256, 512)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--schedule", default=TrainingSettings().schedule)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    data = real_data()
    lists = SplitSettings(split_dir=str(data / "splits/gtzan-filtered"), on_missing="skip")
    manifest = split(scan(data / "gtzan-mel").manifest, lists).manifest
    cache = open_cache(manifest, PreprocessingSettings(), home() / "cache")
    genres = sorted(manifest["genre"].unique())
    tracks = {
        name: TrackDataset(manifest[manifest["split"] == name], genres, cache)
        for name in ("train", "val")
    }
    keep_freed_memory()
    counts = ", ".join(f"{len(split)} tracks to {name}" for name, split in tracks.items())
    print(f"{counts}; {args.epochs} epochs, schedule {args.schedule}, seeds {args.seeds}, ")
    print(f"{torch.get_num_threads()} threads\n")
    print("| widths | parameters | val accuracy | best epoch | s per epoch |")
    print("|---|---|---|---|---|", flush=True)
    for name in args.networks:
        runs = [run(NETWORKS[name], tracks, genres, seed, args) for seed in args.seeds]
        best = [best_epoch(history) for history in runs]
        accuracy = statistics.mean(result.val.accuracy for result in best)
        seconds = statistics.median(result.seconds for history in runs for result in history)
        epochs = ", ".join(str(result.epoch) for result in best)
        classifier = Classifier(genres, NETWORKS[name], PreprocessingSettings())
        n = sum(p.numel() for p in classifier.network.parameters())
        print(f"| {name} | {n:,} | {accuracy:.1%} | {epochs} | {seconds:.1f} |", flush=True)


def run(
    network: VGG,
    tracks: dict[str, TrackDataset],
    genres: list[str],
    seed: int,
    args: argparse.Namespace,
) -> list[EpochResult]:
    settings = TrainingSettings(epochs=args.epochs, seed=seed, schedule=args.schedule)
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        return fit(
            Classifier(genres, network, PreprocessingSettings()),
            tracks,
            settings,
            Observer(),
            checkpoints=CheckpointFolder(Path(folder)),
            device=choose_device(args.device),
        ).history


if __name__ == "__main__":
    main()
