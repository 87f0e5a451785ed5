"""Does it stay flat? Seconds an image and peak memory from 1,000 images to 100,000.

The images are made up: noise of 160 x 48 pixels with a pattern that is the genre's, all distinct,
ten genres, 3 KB each. Each size runs in a process of its own: scan (every image is decoded and
hashed), the same scan again (which knows the contents), split and digest, the cache of decoded
images, one epoch of training and validation by the default recipe, without the statistics beside
the network, which are fitted to 5,000 segments at most, and the answers for the test set with their
report. Memory is what the process has for itself (`RssAnon`), the most at any of many looks: pages
of the memory-mapped cache are the system's, and go when it needs them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

GENRES, HEIGHT, WIDTH = 10, 48, 160
STEPS = "made", "scan", "scan again", "split", "cache", "epoch", "answers"
LOOK_S = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.folder:
        print(json.dumps(steps(args.folder, args.sizes[0], args.image_size)))
        return
    print("| images | step | s | ms an image | peak memory, MB | of that since the start |")
    print("|---|---|---|---|---|---|")
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            for name, (seconds, peak, grown) in measured(Path(folder), size, args.image_size):
                if name != STEPS[0]:
                    print(
                        f"| {size:,} | {name} | {seconds:.1f} | {1000 * seconds / size:.2f} "
                        f"| {peak:.0f} | {grown:.0f} |", flush=True,
                    )  # fmt: skip


def measured(folder: Path, size: int, image_size: int) -> list[tuple[str, list[float]]]:
    """Seconds and megabytes of each step, in a process of its own."""
    given = ["--sizes", str(size), "--image-size", str(image_size), "--folder", str(folder)]
    environment = {**os.environ, "GENRE_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, __file__, *given], stdout=subprocess.PIPE, text=True, check=True,
        env=environment,
    )  # fmt: skip
    return list(json.loads(done.stdout.splitlines()[-1]).items())


def steps(folder: Path, size: int, image_size: int) -> dict[str, list[float]]:
    """Go through all steps."""
    import torch

    from genre_mlflow.corpus.manifest import digest
    from genre_mlflow.corpus.scan import scan
    from genre_mlflow.corpus.settings import SPLITS, SplitSettings
    from genre_mlflow.corpus.splits import split
    from genre_mlflow.data.cache import open_cache
    from genre_mlflow.data.dataset import TrackDataset
    from genre_mlflow.evaluation.intervals import report_with_intervals
    from genre_mlflow.evaluation.predictions import predict_tracks
    from genre_mlflow.features.settings import PreprocessingSettings
    from genre_mlflow.model.classifier import Classifier
    from genre_mlflow.model.networks.vgg import VGG
    from genre_mlflow.training.checkpoint import CheckpointFolder
    from genre_mlflow.training.device import keep_freed_memory
    from genre_mlflow.training.loop import fit
    from genre_mlflow.training.observer import Observer
    from genre_mlflow.training.settings import TrainingSettings

    keep_freed_memory()
    found: dict[str, list[float]] = {}
    music, preprocessing = folder / "music", PreprocessingSettings(image_size=image_size)
    with watched(found, "made"):
        make_images(music, size)
    with watched(found, "scan"):
        scan(music)
    with watched(found, "scan again"):
        manifest = scan(music).manifest
    with watched(found, "split"):
        manifest = split(manifest, SplitSettings()).manifest
        digest(manifest)
    with watched(found, "cache"):
        cache = open_cache(manifest, preprocessing, folder / "home" / "cache")
    genres = sorted(manifest["genre"].unique())
    rows = {name: manifest[manifest["split"] == name] for name in SPLITS}
    tracks = {name: TrackDataset(part, genres, cache) for name, part in rows.items()}
    torch.manual_seed(0)
    classifier = Classifier(genres, VGG(statistics_share=0.0), preprocessing)
    with watched(found, "epoch"):
        fit(
            classifier, tracks, TrainingSettings(epochs=1), Observer(),
            checkpoints=CheckpointFolder(folder / "checkpoints"), device=torch.device("cpu"),
        )  # fmt: skip
    with watched(found, "answers"):
        report_with_intervals(predict_tracks(classifier, rows["test"], tracks["test"]))
    return found


@contextmanager
def watched(found: dict[str, list[float]], name: str) -> Iterator[None]:
    """Note seconds, the most memory while the block runs, and how much more than before, in MB."""
    before, most, done = own_memory(), [0.0], threading.Event()

    def look() -> None:
        while not done.wait(LOOK_S):
            most[0] = max(most[0], own_memory())

    watcher = threading.Thread(target=look)
    watcher.start()
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    peak = max(most[0], own_memory())
    found[name] = [seconds, peak, peak - before]


def own_memory() -> float:
    """Memory that is this process's own, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise OSError("there is no RssAnon in /proc/self/status")


def make_images(folder: Path, n: int) -> None:
    """As many images, a folder a genre."""
    for genre in range(GENRES):
        (folder / f"genre{genre}").mkdir(parents=True)
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(lambda number: make_image(folder, number), range(n)):
            pass


def make_image(folder: Path, number: int) -> None:
    """An image whose noise is that of its number."""
    genre = number % GENRES
    rng = np.random.default_rng(number)
    levels = rng.integers(0, 8, (HEIGHT, WIDTH), np.uint8)  # few, so that it is small
    levels[4 * genre : 4 * genre + 6, :: genre + 2] += 20
    picture = Image.fromarray(levels * 9)
    picture.save(folder / f"genre{genre}" / f"{number:06d}.png", compress_level=1)


if __name__ == "__main__":
    main()
