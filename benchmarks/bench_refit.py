"""How well the confidences of a refitted network are calibrated, by whose answers they were.

Train and validation of GTZAN's fault-filtered split are dealt to outer folds by artist; the test
set is not read. On all outer folds but one a network is fitted, as `--refit` does, and its
temperature is found in three ways: none; by the network before, fitted to two thirds of the same
tracks and asked about the last third, as `--refit-folds 1`; and by the pooled answers of inner
folds. The calibration error is that of the pooled answers to the outer folds, with intervals over
artists.

    python benchmarks/bench_refit.py [--network statistics] [--outer 5] [--inner 5] [--image-size N]
"""

import argparse
import tempfile
from pathlib import Path

import pandas as pd
from real_data import real_data

from genre_mlflow.corpus.corpus import open_corpus
from genre_mlflow.corpus.folds import folds
from genre_mlflow.data.cache import PixelCache, open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation.calibration import calibration_error_interval
from genre_mlflow.evaluation.held_out import HeldOut
from genre_mlflow.evaluation.metrics import accuracy, log_loss
from genre_mlflow.evaluation.predictions import segment_logits
from genre_mlflow.files.home import home
from genre_mlflow.jobs.fitting import fit_to_the_end
from genre_mlflow.model.pretrained.features import remembering
from genre_mlflow.options import TrainOptions
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import choose_device, keep_freed_memory

VALIDATION = 3  # a third, about the share of the published split
NONE, BEFORE, FOLDS = "none", "validation, the network before", "inner folds, pooled"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="statistics")
    parser.add_argument("--outer", type=int, default=5)
    parser.add_argument("--inner", type=int, default=5)
    parser.add_argument("--image-size", type=int, default=128)
    args = parser.parse_args()
    data = real_data()
    keep_freed_memory()
    options = TrainOptions.from_flat(
        {
            "data": str(data / "gtzan-mel"), "on_missing": "skip", "network": args.network,
            "image_size": args.image_size, "split_dir": str(data / "splits/gtzan-filtered"),
            "groups": str(data / "groups/gtzan-groups.csv"),
        }
    )  # fmt: skip
    corpus = open_corpus(options.corpus, options.split)
    cache = open_cache(corpus.manifest, options.preprocessing, home() / "cache")
    said: dict[str, list[pd.DataFrame]] = {NONE: [], BEFORE: [], FOLDS: []}
    temperatures = []
    for outer in folds(corpus.split.grouped, args.outer):
        learnt = outer[outer["split"] == "train"]
        before = unseen(options, folds(learnt, VALIDATION)[0], cache)
        inner = [unseen(options, part, cache) for part in folds(learnt, args.inner)]
        pooled = HeldOut.pooled(inner, "the inner folds")
        found = unseen(options, outer, cache)
        by = {NONE: 1.0, BEFORE: before.temperature("mean"), FOLDS: pooled.temperature("mean")}
        temperatures.append(by)
        for name, temperature in by.items():
            said[name].append(found.answers("mean", temperature or 1.0))
    show(options, said, pd.DataFrame(temperatures))


def unseen(options: TrainOptions, rows: pd.DataFrame, cache: PixelCache) -> HeldOut:
    """Learn from the rows of `train`; the answers to those of `val`."""
    genres = sorted(rows["genre"].unique())
    train, val = (rows[rows["split"] == side] for side in ("train", "val"))
    few = train.drop_duplicates("genre")  # the loop must validate on something
    tracks = {"train": TrackDataset(train, genres, cache), "val": TrackDataset(few, genres, cache)}
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = CheckpointFolder(Path(folder))
        classifier, _ = fit_to_the_end(options, genres, tracks, checkpoints, choose_device("auto"))
    asked = TrackDataset(val, genres, cache)
    with remembering(classifier.network, home() / "cache"):
        logits = segment_logits(classifier, asked)
    return HeldOut(val, logits, asked.owners, tuple(genres), "a fold")


def show(
    options: TrainOptions, said: dict[str, list[pd.DataFrame]], temperatures: pd.DataFrame
) -> None:
    """The table: a line for each way."""
    print(f"{options.family}\n\n| temperature by | mean (lowest to highest) | calibration error |"
          " log loss | accuracy |\n|---|---|---|---|---|")  # fmt: skip
    for name, parts in said.items():
        table, found = pd.concat(parts, ignore_index=True), temperatures[name]
        error = calibration_error_interval(table)
        print(
            f"| {name} | {found.mean():.2f} ({found.min():.2f} to {found.max():.2f}) "
            f"| {error.mean:.3f} ({error.low:.3f} to {error.high:.3f}) | {log_loss(table):.3f} "
            f"| {accuracy(table):.1%} of {len(table)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
