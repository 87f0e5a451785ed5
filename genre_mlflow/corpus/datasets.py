"""Decoded images on disk, and the batches that training and evaluation take from them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from torch import Tensor

from genre_mlflow.errors import DataError
from genre_mlflow.features.preprocessing import Preprocessor, read
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.files import atomic_write

RECIPE = 2  # raise it whenever the preprocessor's code gives other pixels for the same settings
CHUNK = 64  # images decoded ahead of the disk, which bounds the memory

Progress = Callable[[int, int], None]  # images done, images in all


class TrackDataset:
    """The tracks of a manifest as tensors, read from a memory-mapped cache.

    `labels`: int64 `[tracks]`, the place of each track's genre in `genres`.
    """

    def __init__(self, manifest: pd.DataFrame, genres: Sequence[str], cache: "PixelCache") -> None:
        places = {genre: place for place, genre in enumerate(genres)}
        self.labels = torch.tensor([places[genre] for genre in manifest["genre"]])
        self._rows = np.array([cache.row[sha] for sha in manifest["sha256"]], dtype=np.int64)
        self._pixels = cache.pixels

    def __len__(self) -> int:
        return len(self._rows)

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels uint8 `[B, 3, H, W]` and labels int64 `[B]`, in `order` or as they lie."""
        order = torch.arange(len(self)) if order is None else order
        for chosen in torch.split(order, size):
            yield torch.from_numpy(self._pixels[self._rows[chosen.numpy()]]), self.labels[chosen]


class PixelCache:
    """Every distinct image of a manifest, decoded once: uint8 `[images, 3, H, W]`, memory-mapped.

    `row`: the place of an image by the SHA-256 of its file.
    """

    def __init__(self, path: Path, shas: Sequence[str]) -> None:
        self.pixels = np.load(path, mmap_mode="r")
        self.row = {sha: place for place, sha in enumerate(shas)}


def open_cache(
    manifest: pd.DataFrame,
    settings: PreprocessingSettings,
    folder: Path,
    progress: Progress | None = None,
) -> PixelCache:
    """The cache of these images under these settings, made now if it isn't there.

    Its name holds a digest of contents and settings, so it is never out of date. One process
    makes it while others wait; one that is killed leaves no cache behind. Raises `DataError` for
    a file that has changed since the manifest was made.
    """
    paths = dict(sorted(zip(manifest["sha256"], manifest["path"], strict=True)))
    file = folder / f"{cache_key(list(paths), settings)}.npy"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")):
            if not file.exists():
                build_cache(file, paths, settings, progress or (lambda done, total: None))
    return PixelCache(file, list(paths))


def cache_key(shas: Sequence[str], settings: PreprocessingSettings) -> str:
    """Digest of what a cache depends on."""
    content = json.dumps([RECIPE, asdict(settings), list(shas)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def build_cache(
    file: Path, paths: dict[str, str], settings: PreprocessingSettings, progress: Progress
) -> None:
    """Decode in parallel, write in order; only a chunk is in memory at a time."""
    for leftover in file.parent.glob(f".{file.name}.*.partial"):
        leftover.unlink()  # of a process that was killed: the lock says that nobody writes it now
    preprocessor = Preprocessor(settings)
    size = settings.image_size
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(paths), 3, size, size)}
    items = list(paths.items())
    with atomic_write(file) as out, ThreadPoolExecutor() as pool:
        np.lib.format.write_array_header_1_0(out, header)
        for start in range(0, len(items), CHUNK):
            chunk = items[start : start + CHUNK]
            for pixels in pool.map(partial(decode, preprocessor), chunk):
                out.write(pixels.numpy().tobytes())
            progress(start + len(chunk), len(items))


def decode(preprocessor: Preprocessor, item: tuple[str, str]) -> Tensor:
    """Pixels of a file, given as (SHA-256, path), that must still be the one in the manifest."""
    sha256, path = item
    try:
        data = read(path)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DataError("has changed since it was scanned; start again")
        return preprocessor(data)
    except DataError as error:
        raise DataError(f"{path} {error}") from error
