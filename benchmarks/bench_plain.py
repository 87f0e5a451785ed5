"""Training on the processor: an epoch of ours against the loop that people write with torchvision.

The plain loop is `ImageFolder` over folders of train and val, `Grayscale` and `Resize` to the size
that the network takes here, a `DataLoader`, AdamW, cross-entropy, then validation. Its network is
what learns in the default `vgg`, with the same crops, weights of the same kind and batches of the
same size. Ours is `fit`, by the default recipe, which does more (mixed tracks, smoothed labels, an
average of the weights, the statistics beside the network in validation), the same with maps laid
out as torch does by default, and by a plain recipe.

What differs beside the loop: `ImageFolder` decodes in every epoch and makes grey of the colours,
where ours undoes them and takes the border off, once, when the cache is made; the plain loop leaves
the C library's allocator as it is. A third loop keeps the decoded images in memory, as a careful
user would: what it is slower by is the allocator.

Each way runs in a process of its own, in turns; medians over epochs, the first of each left out.
The seconds that processors were busy, scan and cache or `ImageFolder` included, say the same on a
machine that does other work, best with `--threads 1`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import torch
from real_data import real_data
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.settings import SplitSettings
from genre_mlflow.corpus.splits import split
from genre_mlflow.data.cache import open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.files.home import home
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.training import loop
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import keep_freed_memory
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.settings import TrainingSettings

PLAIN = TrainingSettings(mixup=0.0, label_smoothing=0.0, ema_decay=0.0)
PARTS = ("train", "val")
OURS, RIVAL = "ours, default recipe", "ImageFolder, DataLoader"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--image-size", type=int, default=PreprocessingSettings().image_size)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        torch.set_num_threads(args.threads)
        before = processor_s()
        seconds = WAYS[args.way](args)
        print(json.dumps([seconds, (processor_s() - before) / args.epochs]))
        return
    n_images = sum(map(len, rows_of(real_data()).values()))
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    busy: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(args.rounds):
        for way in WAYS:
            epochs, processor = measured(way)
            seconds[way] += epochs[1:]
            busy[way].append(processor)
            print(f"{way}: {epochs[-1]:.2f} s", file=sys.stderr, flush=True)
    print(f"{n_images} images an epoch, {args.threads} threads\n")
    print("| loop | s an epoch | images/s | times as long as ours | processor s | times ours |")
    print("|---|---|---|---|---|---|")
    ours_s, ours_busy = statistics.median(seconds[OURS]), statistics.median(busy[OURS])
    for way in WAYS:
        median, used = statistics.median(seconds[way]), statistics.median(busy[way])
        print(
            f"| {way} | {median:.2f} | {n_images / median:,.0f} | {median / ours_s:.2f} "
            f"| {used:.2f} | {used / ours_busy:.2f} |"
        )


def measured(way: str) -> tuple[list[float], float]:
    """Seconds of the epochs of one process, and the processor's for each, of its workers too."""
    command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    epochs, processor = json.loads(done.stdout.splitlines()[-1])
    return epochs, float(processor)


def processor_s() -> float:
    """What this process and those that it has had have used, in seconds."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def rows_of(data: Path) -> dict[str, pd.DataFrame]:
    """The rows of train and val in the filtered split."""
    lists = SplitSettings(split_dir=str(data / "splits/gtzan-filtered"), on_missing="skip")
    manifest = split(scan(data / "gtzan-mel").manifest, lists).manifest
    return {part: manifest[manifest["split"] == part] for part in PARTS}


def ours(
    settings: TrainingSettings, args: argparse.Namespace, *, lay_out: bool = True
) -> list[float]:
    """Seconds of the epochs of `fit`; without `lay_out` maps lie as they do by default in torch."""
    keep_freed_memory()
    if not lay_out:
        loop.lay_out = lambda network: None
    preprocessing = PreprocessingSettings(image_size=args.image_size)
    rows = rows_of(real_data())
    everything = pd.concat(rows.values(), ignore_index=True)
    genres = sorted(everything["genre"].unique())
    cache = open_cache(everything, preprocessing, home() / "cache")
    tracks = {part: TrackDataset(rows[part], genres, cache) for part in PARTS}
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        fitted = loop.fit(
            Classifier(genres, VGG(), preprocessing), tracks,
            TrainingSettings(**{**vars(settings), "epochs": args.epochs}), Observer(),
            checkpoints=CheckpointFolder(Path(folder)), device=torch.device("cpu"),
        )  # fmt: skip
    return [result.seconds for result in fitted.history]


def plain(args: argparse.Namespace, n_workers: int = 0, *, in_memory: bool = False) -> list[float]:
    """Seconds of the epochs of a loop as people write it."""
    shape = PreprocessingSettings(image_size=args.image_size).shape
    size = TrainingSettings().batch_size
    with tempfile.TemporaryDirectory() as folder:
        sets = {part: image_folder(Path(folder) / part, rows, shape)
                for part, rows in rows_of(real_data()).items()}  # fmt: skip
        if in_memory:
            sets = {part: decoded(images) for part, images in sets.items()}
        loaders = {
            part: DataLoader(
                images, size, shuffle=part == "train", num_workers=n_workers,
                persistent_workers=n_workers > 0,
            )
            for part, images in sets.items()
        }  # fmt: skip
        torch.manual_seed(0)
        network = VGG(statistics_share=0.0).build(10, shape)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
        seconds = list(epochs_of(network, optimizer, loaders, args.epochs))
        del loaders  # its workers end, and count
        return seconds


def image_folder(root: Path, rows: pd.DataFrame, shape: tuple[int, int, int]):
    """An `ImageFolder` of links to these files."""
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import Compose, Grayscale, PILToTensor, Resize

    for path, genre in zip(rows["path"], rows["genre"], strict=True):
        (root / genre).mkdir(parents=True, exist_ok=True)
        (root / genre / Path(path).name).symlink_to(path)
    return ImageFolder(str(root), Compose([Grayscale(), Resize(shape[1:]), PILToTensor()]))


def decoded(images) -> TensorDataset:
    """The same images, in memory."""
    pixels, labels = zip(*images, strict=True)
    return TensorDataset(torch.stack(pixels), torch.tensor(labels))


def epochs_of(
    network: nn.Module, optimizer: torch.optim.Optimizer, loaders: dict, n: int
) -> Iterator[float]:
    """The loop: train, then validate; seconds of each epoch."""
    for _ in range(n):
        started = time.perf_counter()
        network.train()
        for pixels, labels in loaders["train"]:
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(pixels), labels)
            loss.backward()
            optimizer.step()
        network.eval()
        right = 0
        with torch.no_grad():
            for pixels, labels in loaders["val"]:
                right += int((network(pixels).argmax(dim=1) == labels).sum())
        yield time.perf_counter() - started


WAYS: dict[str, Callable[[argparse.Namespace], list[float]]] = {
    OURS: lambda args: ours(TrainingSettings(), args),
    "ours, channels first": lambda args: ours(TrainingSettings(), args, lay_out=False),
    "ours, plain recipe": lambda args: ours(PLAIN, args),
    RIVAL: plain,
    f"{RIVAL} with 2 workers": lambda args: plain(args, 2),
    "decoded images in memory, DataLoader": lambda args: plain(args, in_memory=True),
}

if __name__ == "__main__":
    main()
