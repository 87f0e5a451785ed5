"""A library of recordings: tracks per second, peak memory at two sizes, one process and two.

The 14 real recordings, repeated under other names with small changes, so that no two files are
equal. Each measurement is a `genre-mlflow predict` of its own; time counts from the first row to
the last, so that imports are left out. An untrained network of the default shape takes as long.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import soundfile
from real_data import real_data

from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG

GENRES = [f"genre {number}" for number in range(10)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    recordings = sorted(real_data().glob("gtzan-audio/*/*.flac"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Classifier(GENRES, VGG(), PreprocessingSettings()).save(folder / "model")
        print("| tracks | processes | tracks a second | peak memory, MB, all processes |")
        print("|---|---|---|---|")
        for size in args.sizes:
            make_library(recordings, folder / str(size), size)
            for workers in args.workers:
                rate, peak = measure(folder, size, workers)
                print(f"| {size} | {workers} | {rate:.1f} | {peak / 1e6:.0f} |", flush=True)


def make_library(recordings: list[Path], folder: Path, size: int) -> None:
    """FLACs that differ a little from the real ones and from each other."""
    folder.mkdir()
    for number in range(size):
        samples, rate = soundfile.read(recordings[number % len(recordings)], dtype="int16")
        samples = np.roll(samples, number)
        soundfile.write(folder / f"{number:04d}.flac", samples, rate, subtype="PCM_16")


def measure(folder: Path, size: int, workers: int) -> tuple[float, int]:
    """Tracks a second after the first row, and the most memory of all processes together."""
    out = folder / f"{size}-{workers}.csv"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "genre_mlflow", "predict", str(folder / str(size)), "--quiet",
            "--model", str(folder / "model"), "--out", str(out), "--workers", str(workers),
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    n_first, started = 0, 0.0
    while process.poll() is None:
        n_rows = out.read_bytes().count(b"\n") - 1 if out.exists() else 0
        if n_rows > 0 and not started:
            n_first, started = n_rows, time.perf_counter()
        if n_rows >= size:
            break
        time.sleep(0.02)
    seconds = time.perf_counter() - started
    if process.wait() or not started:
        raise SystemExit("predict failed")
    watcher.join()
    return (size - n_first) / seconds, peak


def memory(pid: int) -> int:
    """Bytes of a process and its children that no other process shares."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            total += process.memory_full_info().uss
    except psutil.NoSuchProcess:
        pass
    return total


if __name__ == "__main__":
    main()
