"""Variants of files on disk, stretched and shifted, from which training is dealt its items."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from torch import Tensor

from genre_mlflow.data.cache import CHUNK, Progress, as_npy, known_bytes, naming
from genre_mlflow.features.muting import muted_decoders
from genre_mlflow.features.preprocessing import DECODERS, further_decoders
from genre_mlflow.features.preprocessing import RECIPE as DRAWING
from genre_mlflow.features.settings import AugmentationSettings, PreprocessingSettings
from genre_mlflow.features.stretching import RECIPE, Stretcher
from genre_mlflow.files.atomic import atomic_write


class Variants:
    """The variants of the tracks of a manifest, a file each: uint8 `[variants, segments, C, H, W]`.

    A track's place is that of its row.
    """

    def __init__(self, files: Sequence[Path], n: int) -> None:
        self.files = files
        self.n = n

    def deal(self, pixels: Tensor, owners: Tensor, segments: Tensor) -> Tensor:
        """Items `[B, C, H, W]`, each as it is or as one of its variants, all equally probable.

        Drawn by torch's random numbers. `owners`, `segments`: track and segment of each, `[B]`.
        """
        drawn = torch.randint(1 + self.n, (len(pixels),)).tolist()
        dealt = pixels.clone()
        for place, number in enumerate(drawn):
            if number:
                variants = np.load(self.files[int(owners[place])], mmap_mode="r")
                chosen = np.array(variants[number - 1, int(segments[place])])
                dealt[place] = torch.from_numpy(chosen)
        return dealt


def open_variants(
    manifest: pd.DataFrame,
    augmentation: AugmentationSettings,
    preprocessing: PreprocessingSettings,
    folder: Path,
    progress: Progress | None = None,
) -> Variants:
    """The variants of these files; those that are not there are made now, which takes its time.

    Their folder holds a digest of the settings and the versions that decode. A process that is
    killed leaves those that it has made; while one makes them, others wait. Raises `DataError` for
    a file that has changed since the manifest was made.
    """
    stretcher = Stretcher(augmentation, preprocessing)
    own = folder / f"variants-{variants_key(stretcher, further_decoders(manifest['format']))}"
    files = [own / f"{sha}.npy" for sha in manifest["sha256"]]
    paths = dict(zip(manifest["sha256"], manifest["path"], strict=True))
    if not all(file.exists() for file in files):
        own.mkdir(parents=True, exist_ok=True)
        with FileLock(own.with_suffix(".lock")):
            for leftover in own.glob(".*.partial"):
                leftover.unlink()  # of a process that was killed: nobody else writes here now
            missing = [item for item in paths.items() if not (own / f"{item[0]}.npy").exists()]
            for done in make_variants(missing, stretcher, own):
                if progress:
                    progress(done, len(missing))
    return Variants(files, augmentation.variants)


def variants_key(stretcher: Stretcher, others: Sequence[str]) -> str:
    """Digest of what the variants of a file depend on, beside the file."""
    amounts = stretcher.augmentation
    content = json.dumps(
        [
            RECIPE, DRAWING, DECODERS, *others, asdict(stretcher.preprocessing),
            amounts.time_stretch, amounts.pitch_shift, amounts.variants,
        ],
        sort_keys=True,
    )  # fmt: skip
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def make_variants(
    items: Sequence[tuple[str, str]], stretcher: Stretcher, folder: Path
) -> Iterator[int]:
    """Write the variants of files, given as (SHA-256, path); how many are done, now and then."""
    with muted_decoders(), ThreadPoolExecutor() as pool:
        for start in range(0, len(items), CHUNK):
            chunk = items[start : start + CHUNK]
            for (sha, _), pixels in zip(
                chunk, pool.map(partial(variants_of, stretcher), chunk), strict=True
            ):
                with atomic_write(folder / f"{sha}.npy") as out:
                    out.write(as_npy(pixels.numpy()))
            yield start + len(chunk)


def variants_of(stretcher: Stretcher, item: tuple[str, str]) -> Tensor:
    """Variants of a file, given as (SHA-256, path), that must still be the one in the manifest."""
    sha256, path = item
    with naming(path):
        return stretcher(known_bytes(path, sha256), sha256)
