"""Decoded files on disk: one memory-mapped cache a corpus and settings."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd
from filelock import FileLock
from torch import Tensor

from genre_mlflow.errors import DataError
from genre_mlflow.features.muting import muted_decoders
from genre_mlflow.features.preprocessing import (
    DECODERS,
    RECIPE,
    Preprocessor,
    further_decoders,
    read,
)
from genre_mlflow.features.settings import PreprocessingSettings, Shape
from genre_mlflow.files.atomic import atomic_write

CHUNK = 16  # files decoded ahead of the disk, which bounds the memory

Progress = Callable[[int, int], None]  # files done, files in all


class PixelCache:
    """Every distinct file of a manifest, decoded once: uint8 `[segments, C, H, W]`, memory-mapped.

    `span`: the first segment of a file and how many it has, by the SHA-256 of the file.
    """

    def __init__(self, path: Path, shas: Sequence[str]) -> None:
        self.pixels = np.load(path, mmap_mode="r")
        with path.open("rb") as file:
            file.seek(self.pixels.offset + self.pixels.nbytes)
            counts = np.load(file)
        firsts = np.cumsum(counts) - counts
        spans = zip(firsts.tolist(), counts.tolist(), strict=True)
        self.span = dict(zip(shas, spans, strict=True))


def open_cache(
    manifest: pd.DataFrame,
    settings: PreprocessingSettings,
    folder: Path,
    progress: Progress | None = None,
    *,
    part_of: pd.DataFrame | None = None,
) -> PixelCache:
    """The cache of these files under these settings, made now if it isn't there.

    Its name holds a digest of contents, settings and the versions that decode. One process makes
    it while others wait; one that is killed leaves no cache behind. Where that of the manifest
    that these files are `part_of` is there, it serves. Raises `DataError` for a file that has
    changed since the manifest was made.
    """
    if part_of is not None and (folder / file_of(part_of, settings)).exists():
        manifest = part_of
    paths = dict(sorted(zip(manifest["sha256"], manifest["path"], strict=True)))
    file = folder / file_of(manifest, settings)
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")):
            if not file.exists():
                build_cache(file, paths, settings, progress or (lambda done, total: None))
    return PixelCache(file, list(paths))


def file_of(manifest: pd.DataFrame, settings: PreprocessingSettings) -> str:
    """Name of the cache of these files."""
    others = further_decoders(manifest["format"])
    return f"{cache_key(sorted(set(manifest['sha256'])), settings, *others)}.npy"


def cache_key(shas: Sequence[str], settings: PreprocessingSettings, *others: str) -> str:
    """Digest of what a cache depends on; `others`: decoders that only some caches do."""
    content = json.dumps([RECIPE, DECODERS, asdict(settings), list(shas), *others], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def build_cache(
    file: Path, paths: dict[str, str], settings: PreprocessingSettings, progress: Progress
) -> None:
    """Decode in parallel, write in order; only a chunk is in memory at a time.

    Behind the pixels, which `numpy.load` maps, lie the numbers of segments, as `numpy.save` has
    them.
    """
    for leftover in file.parent.glob(f".{file.name}.*.partial"):
        leftover.unlink()  # of a process that was killed: the lock says that nobody writes it now
    preprocessor = Preprocessor(settings)
    items = list(paths.items())
    counts: list[int] = []
    with muted_decoders(), atomic_write(file) as out, ThreadPoolExecutor() as pool:
        write_header(out, 0, settings.shape)
        for start in range(0, len(items), CHUNK):
            chunk = items[start : start + CHUNK]
            for pixels in pool.map(partial(decode, preprocessor), chunk):
                out.write(pixels.numpy().tobytes())
                counts.append(len(pixels))
            progress(start + len(chunk), len(items))
        out.write(as_npy(np.array(counts)))
        out.seek(0)
        write_header(out, sum(counts), settings.shape)


def write_header(out: BinaryIO, n_segments: int, shape: Shape) -> None:
    """The head of a `.npy` file; numpy leaves room in it for any number along the first axis."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (n_segments, *shape)}
    np.lib.format.write_array_header_1_0(out, header)


def as_npy(array: npt.NDArray[Any]) -> memoryview:
    """What `numpy.save` writes; on a full disk its own error would have no number, nor words."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getbuffer()


def decode(preprocessor: Preprocessor, item: tuple[str, str]) -> Tensor:
    """Pixels of a file, given as (SHA-256, path), that must still be the one in the manifest."""
    sha256, path = item
    with naming(path):
        return preprocessor(known_bytes(path, sha256))


def known_bytes(path: str, sha256: str) -> bytes:
    """The bytes of a file that has this SHA-256. Raises `DataError` for one that has not."""
    data = read(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DataError("has changed since it was scanned; start again")
    return data


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Put the name of the file in front of a `DataError`."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path} {error}") from error
