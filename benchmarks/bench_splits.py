"""One training evaluated five ways on GTZAN: what the split alone does to an accuracy.

The statistics baseline, or another network, in folds dealt by file, by exact copies, by recording
and by artist (fingerprints of GTZAN-Bind), then on the fault-filtered, artist-aware split. Each
track is answered for by a classifier that has not learnt from its fold; the weights of the last
epoch count. Intervals are over artists in all of them.

    python benchmarks/bench_splits.py [--folds 10] [--network vgg] [--image-size 128]
"""

import argparse
import tempfile
from pathlib import Path

import pandas as pd
from real_data import real_data

from genre_mlflow.corpus.corpus import open_corpus
from genre_mlflow.corpus.folds import folds
from genre_mlflow.corpus.groups import groups_from, join_groups
from genre_mlflow.corpus.splits import undealt
from genre_mlflow.data.cache import PixelCache, open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation.intervals import metric_intervals
from genre_mlflow.evaluation.predictions import predict_tracks
from genre_mlflow.files.home import home
from genre_mlflow.jobs.fitting import fit_classifier, new_classifier
from genre_mlflow.model.pretrained.features import remembering
from genre_mlflow.options import TrainOptions
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import choose_device, keep_freed_memory
from genre_mlflow.training.observer import Observer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--network", default="statistics")
    parser.add_argument("--image-size", type=int, default=128)
    args = parser.parse_args()
    data = real_data()
    keep_freed_memory()
    options = TrainOptions.from_flat(
        {
            "data": str(data / "gtzan-mel"), "on_missing": "skip", "network": args.network,
            "image_size": args.image_size,
        }
    )  # fmt: skip
    table = groups_from(data / "groups/gtzan-groups.csv")
    manifest = open_corpus(options.corpus, options.split, undealt).manifest
    cache = open_cache(manifest, options.preprocessing, home() / "cache")
    ways = {
        "by file": manifest.assign(group=manifest["track_id"]),
        "by exact copies": manifest,
        "by recording": join_groups(manifest, table.assign(artist=""), "skip"),
        "by artist": join_groups(manifest, table, "skip"),
    }
    print(f"{options.family}\n\n| dealt | tracks | accuracy | 95 % interval, over artists |")
    print("|---|---|---|---|", flush=True)
    for name, rows in ways.items():
        parts = folds(rows, args.folds, with_test=True)
        answers = pd.concat([unseen(options, part, cache) for part in parts], ignore_index=True)
        show(f"{args.folds} folds {name}", answers, table)
    dealt = options.changed(split_dir=str(data / "splits/gtzan-filtered"))
    split = open_corpus(dealt.corpus, dealt.split).manifest
    learnt = split[split["split"] != "test"].assign(split="train")
    both = pd.concat([learnt, split[split["split"] == "test"].assign(split="val")])
    show("the fault-filtered split", unseen(options, both, cache), table)


def unseen(options: TrainOptions, rows: pd.DataFrame, cache: PixelCache) -> pd.DataFrame:
    """Learn from the rows of `train`; predictions for those of `val`."""
    genres = sorted(rows["genre"].unique())
    train, val = (rows[rows["split"] == side] for side in ("train", "val"))
    few = train.drop_duplicates("genre")  # the loop must validate on something
    tracks = {name: TrackDataset(part, genres, cache) for name, part in
              {"train": train, "val": few}.items()}  # fmt: skip
    classifier = new_classifier(options, genres)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = CheckpointFolder(Path(folder))
        fitted = fit_classifier(
            classifier, tracks, options, Observer(), checkpoints, choose_device("auto")
        )
        classifier.network.load_state_dict(checkpoints.load_weights(len(fitted.history)))
    with remembering(classifier.network, home() / "cache"):
        return predict_tracks(classifier, val, TrackDataset(val, genres, cache))


def show(name: str, answers: pd.DataFrame, table: pd.DataFrame) -> None:
    """A line of the table."""
    found = metric_intervals(join_groups(answers, table, "skip"))["accuracy"]
    low, high = 100 * found.low, 100 * found.high
    print(f"| {name} | {len(answers)} | {found.mean:.1%} | {low:.1f} to {high:.1f} % |", flush=True)


if __name__ == "__main__":
    main()
