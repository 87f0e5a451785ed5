"""An epoch on the real images: the decoded cache against decoding every epoch; cost of tracking.

One run, in turns, medians: the same network trains from the memory-mapped cache and from files
that are decoded again in each epoch, as an `ImageFolder` would do it. Then the seconds that
tracking takes after each epoch (SQLite store) are set against the epoch's own.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from real_data import real_data

from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.settings import SplitSettings
from genre_mlflow.corpus.splits import split
from genre_mlflow.data.cache import PixelCache, open_cache
from genre_mlflow.data.dataset import Pair, TrackDataset
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import choose_device, describe_device, keep_freed_memory
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.loop import fit
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.settings import TrainingSettings


class DecodedEachTime(TrackDataset):
    """The tracks of a dataset, read from their files for every batch."""

    def __init__(
        self,
        manifest: pd.DataFrame,
        genres: list[str],
        cache: PixelCache,
        settings: PreprocessingSettings,
    ) -> None:
        super().__init__(manifest, genres, cache)
        self.paths = list(manifest["path"])
        self.preprocessor = Preprocessor(settings)

    def gather(self, indices: list[int]) -> Pair:
        pixels = torch.cat([self.preprocessor(self.paths[i]) for i in indices])
        return pixels, self.labels[indices]


class Stopwatch(Observer):
    """Seconds that another observer takes after each epoch."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.epochs: list[float] = []
        self.tracking: list[float] = []

    def on_train_begin(self, history: list[EpochResult], epochs: int) -> None:
        self.observer.on_train_begin(history, epochs)

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        started = time.perf_counter()
        self.observer.on_epoch_end(result, weights)
        self.tracking.append(time.perf_counter() - started)
        self.epochs.append(result.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--image-size", type=int, default=PreprocessingSettings().image_size)
    args = parser.parse_args()
    data = real_data()
    device = choose_device(args.device)
    preprocessing = PreprocessingSettings(image_size=args.image_size)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        lists = SplitSettings(split_dir=str(data / "splits/gtzan-filtered"), on_missing="skip")
        manifest = split(scan(data / "gtzan-mel").manifest, lists).manifest
        genres = sorted(manifest["genre"].unique())
        make = partial(Classifier, genres, VGG(), preprocessing)
        parts = {s: manifest[manifest["split"] == s] for s in ("train", "val")}
        started = time.perf_counter()
        cache = open_cache(manifest, preprocessing, Path(folder) / "cache")
        building = time.perf_counter() - started
        cached = {s: TrackDataset(rows, genres, cache) for s, rows in parts.items()}
        decoded = {
            s: DecodedEachTime(rows, genres, cache, preprocessing) for s, rows in parts.items()
        }
        print(f"{len(manifest)} images, on {describe_device(device)}; ")
        print(f"building the cache, once: {building:.1f} s\n")
        seconds: dict[str, list[float]] = {"cache": [], "decoding every epoch": []}
        for turn in range(args.rounds):
            for name, tracks in (("cache", cached), ("decoding every epoch", decoded)):
                seconds[name] += train(tracks, make, device, Path(folder) / f"{name}{turn}")
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        print("| images come from | median s per epoch |\n|---|---|")
        for name, value in medians.items():
            print(f"| {name} | {value:.1f} |")
        print(
            f"\ncache : decoding = 1 : {medians['decoding every epoch'] / medians['cache']:.2f}\n"
        )
        track(cached, make, device, Path(folder), args.rounds)


def train(
    tracks: dict,
    make: Callable[[], Classifier],
    device: torch.device,
    folder: Path,
    observer: Observer | None = None,
    epochs: int = 2,
) -> list[float]:
    torch.manual_seed(0)
    classifier = make()
    fitted = fit(
        classifier, tracks, TrainingSettings(epochs=epochs), observer or Observer(),
        checkpoints=CheckpointFolder(folder), device=device,
    )  # fmt: skip
    return [result.seconds for result in fitted.history][1:]


def track(
    tracks: dict,
    make: Callable[[], Classifier],
    device: torch.device,
    folder: Path,
    rounds: int,
) -> None:
    from genre_mlflow.tracking.experiments import experiment_id
    from genre_mlflow.tracking.observer import RunTracker
    from genre_mlflow.tracking.run import TrackedRun

    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    os.chdir(folder)  # where MLflow puts the artifacts
    run = TrackedRun.create(experiment_id("bench"), "bench", {})
    run.dataset = ("bench", "0")
    tracker = RunTracker(run, make().config(), "best-last")
    watch = Stopwatch(tracker)
    train(tracks, make, device, folder / "tracked", watch, epochs=rounds + 2)
    seconds, epoch = statistics.median(watch.tracking[1:]), statistics.median(watch.epochs[1:])
    print(
        f"tracking: median {seconds:.2f} s after an epoch of {epoch:.1f} s, {seconds / epoch:.1%}"
    )


if __name__ == "__main__":
    main()
