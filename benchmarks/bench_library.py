"""A library of recordings: tracks per second, peak memory at two sizes, one process and two.

The 14 real recordings, repeated under other names with small changes, so that no two files are
equal. Each measurement is a `genre-mlflow predict` of its own; the seconds until its first row are
told by themselves, and tracks per second, and processor time a track of all processes, are those of
the second half of the rows, when all processes answer. An untrained network of the default shape
takes as long. Then where the time of a track goes, in one process and on one thread.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import soundfile
import torch
from real_data import real_data

from genre_mlflow.features.audio import decode
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.features.spectrogram import log_mel, render
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.familiarity import Familiarity, n_statistics
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
        classifier = Classifier(GENRES, VGG(), PreprocessingSettings())
        classifier.familiarity = unfamiliar(classifier.preprocessing)
        classifier.save(folder / "model")
        print(
            "| tracks | processes | s until the first row | tracks a second | times as many "
            "| processor ms a track | peak memory, MB, all processes |"
        )
        print("|---|---|---|---|---|---|---|")
        for size in args.sizes:
            make_library(recordings, folder / str(size), size)
            alone = 0.0
            for workers in args.workers:
                found = measure(folder, size, workers)
                alone = alone or found.rate
                print(
                    f"| {size} | {workers} | {found.start_s:.1f} | {found.rate:.1f} "
                    f"| {found.rate / alone:.2f} | {1000 * found.cpu_s:.1f} "
                    f"| {found.peak / 1e6:.0f} |",
                    flush=True,
                )
        print_parts(classifier, recordings)


def unfamiliar(settings: PreprocessingSettings, n: int = 500) -> Familiarity:
    """Music that nobody has heard, of so many tracks, for what is foreign takes its time too."""
    width = n_statistics(settings)
    references = torch.randn(n, width, generator=torch.Generator().manual_seed(0))
    return Familiarity(torch.zeros(width), torch.ones(width), references, 1.0)


def print_parts(classifier: Classifier, recordings: list[Path]) -> None:
    """Median processor milliseconds of each step, all in turns."""
    torch.set_num_threads(1)
    classifier.settle()  # as `predict` does
    times: dict[str, list[float]] = {}

    def timed(name: str, step: Callable[..., Any], *given: Any) -> Any:
        started = time.thread_time()
        found = step(*given)
        times.setdefault(name, []).append(1000 * (time.thread_time() - started))
        return found

    prepare = classifier.preprocessor.prepare
    for path in recordings[:1] + recordings * 3:  # the first one does what is done once
        data = timed("its bytes", path.read_bytes)
        sound = timed("decoding", decode, data)
        matrix = timed("log-mel", log_mel, sound)
        picture = timed("image", render, matrix)
        pixels = timed("border, levels, size", prepare, picture)
        timed("network", classifier.probabilities, pixels)
        timed("is it foreign", classifier.foreign_score, pixels)
        timed("all, as one call", classifier.predict, path)
    print("\n| of a track, one thread | processor ms |\n|---|---|")
    for name, spent in times.items():
        print(f"| {name} | {statistics.median(spent[1:]):.1f} |")


def make_library(recordings: list[Path], folder: Path, size: int) -> None:
    """FLACs that differ a little from the real ones and from each other."""
    folder.mkdir()
    for number in range(size):
        samples, rate = soundfile.read(recordings[number % len(recordings)], dtype="int16")
        samples = np.roll(samples, number)
        soundfile.write(folder / f"{number:04d}.flac", samples, rate, subtype="PCM_16")


class Found(NamedTuple):
    """What a run showed: seconds, tracks a second, processor seconds a track, bytes."""

    start_s: float
    rate: float
    cpu_s: float
    peak: int


def measure(folder: Path, size: int, workers: int) -> Found:
    """One run over all tracks."""
    out = folder / f"{size}-{workers}.csv"
    began = time.perf_counter()
    process = subprocess.Popen(
        [
            sys.executable, "-m", "genre_mlflow", "predict", str(folder / str(size)), "--quiet",
            "--model", str(folder / "model"), "--out", str(out), "--workers", str(workers),
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    peak, first, at = 0, 0.0, {}  # when there were so many rows, and what had been spent by then
    while process.poll() is None:
        peak = max(peak, memory(process.pid))
        n_rows = out.read_bytes().count(b"\n") - 1 if out.exists() else 0
        if n_rows > 0:
            first = first or time.perf_counter() - began
        if n_rows > 0 and (n_rows >= size // 2 or n_rows == size):
            at[n_rows] = (time.perf_counter(), spent(process.pid))
        if n_rows >= size:
            break
        time.sleep(0.02)
    if process.wait() or len(at) < 2:
        raise SystemExit("predict failed, or there were too few tracks to measure")
    (n_half, half), *_, (n_last, last) = at.items()
    done = n_last - n_half
    return Found(first, done / (last[0] - half[0]), (last[1] - half[1]) / done, peak)


def spent(pid: int) -> float:
    """Processor seconds of a process and its children so far."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            used = process.cpu_times()
            total += used.user + used.system
    return total


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
