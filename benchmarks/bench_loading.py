"""Loading alone: batches of the real images from the cache, by a `DataLoader` and without one.

In turns, medians, one thread, freed memory kept as in training; train and validation images of the
filtered split at 224 pixels in batches of 32, in a new order each time. Everything lies in the
page cache. The share is that of an epoch's seconds, which `bench_epoch.py` measures.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable

import torch
from real_data import real_data
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.settings import SplitSettings
from genre_mlflow.corpus.splits import split
from genre_mlflow.data.cache import open_cache
from genre_mlflow.data.dataset import Pair, TrackDataset
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.files.home import home
from genre_mlflow.training.device import keep_freed_memory
from genre_mlflow.training.settings import TrainingSettings

SIZE = TrainingSettings().batch_size
OURS = "batch sampler alone (ours)"


class ItemByItem(TrackDataset):
    """Items are copied from the cache one by one."""

    __getitems__ = None  # a `DataLoader` asks for single items then


class BatchAtOnce(TrackDataset):
    """What a `DataLoader` without a function that collates passes on as it is."""

    def __getitems__(self, indices: list[int]) -> Pair:
        return self.gather(indices)


class ByBatch(TrackDataset):
    """An index is a batch, and the `DataLoader` makes none of its own."""

    def __getitem__(self, indices: list[int]) -> Pair:
        return self.gather(indices)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--epoch-s", type=float, default=4.4, help="seconds of an epoch")
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    ways = loaders()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    n_images = 0
    for turn in range(args.rounds + 1):
        for name, way in ways.items():
            if "workers" in name and turn % 4 > 1:
                continue  # these take much longer
            started = time.perf_counter()
            n_images = sum(len(labels) for _, labels in way())
            if turn:  # the first warms up
                seconds[name].append(time.perf_counter() - started)
    print(f"{n_images} images an epoch\n\n| batches by | ms an epoch | images/s | share |")
    print("|---|---|---|---|")
    for name, values in seconds.items():
        median = statistics.median(values)
        share = median / args.epoch_s
        print(f"| {name} | {1000 * median:.1f} | {n_images / median:,.0f} | {share:.2%} |")


def loaders() -> dict[str, Callable[[], Iterable[Pair]]]:
    """By name, what gives the batches of an epoch."""
    data = real_data()
    lists = SplitSettings(split_dir=str(data / "splits/gtzan-filtered"), on_missing="skip")
    manifest = split(scan(data / "gtzan-mel").manifest, lists).manifest
    cache = open_cache(manifest, PreprocessingSettings(), home() / "cache")
    rows = manifest[manifest["split"].isin(["train", "val"])]
    genres = sorted(manifest["genre"].unique())
    tracks, items, at_once, by_batch = (
        kind(rows, genres, cache) for kind in (TrackDataset, ItemByItem, BatchAtOnce, ByBatch)
    )
    order = RandomSampler(tracks)
    batches = BatchSampler(order, SIZE, drop_last=False)
    return {
        OURS: lambda: tracks.batches(SIZE, order),
        "DataLoader, items one by one": lambda: DataLoader(items, SIZE, sampler=order),
        "DataLoader, items fetched at once": lambda: DataLoader(tracks, SIZE, sampler=order),
        "DataLoader, batch fetched at once": lambda: DataLoader(
            at_once, SIZE, sampler=order, collate_fn=as_it_is
        ),
        "DataLoader, an index is a batch": lambda: DataLoader(
            by_batch, batch_size=None, sampler=batches
        ),
        "the same, 1 of num_workers": lambda: DataLoader(
            by_batch, batch_size=None, sampler=batches, num_workers=1
        ),
        "the same, 2 of num_workers": lambda: DataLoader(
            by_batch, batch_size=None, sampler=batches, num_workers=2
        ),
    }


def as_it_is(batch: Pair) -> Pair:
    return batch


if __name__ == "__main__":
    main()
