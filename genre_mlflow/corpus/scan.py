"""Scanning a folder of music: every usable track, and what is wrong with the others."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from genre_mlflow.corpus import content_hashes
from genre_mlflow.corpus.folders import BadFile, look_below, subfolders
from genre_mlflow.corpus.manifest import COLUMNS, name_groups
from genre_mlflow.corpus.settings import SPLITS, check_folder
from genre_mlflow.errors import DataError
from genre_mlflow.features.preprocessing import content_of, read

SPLIT_NAMES = {*SPLITS, "valid", "validation", "dev"}  # in any case; a genre is never called so


@dataclass(frozen=True)
class ScanResult:
    """The manifest of a folder, and what was left out of it."""

    manifest: pd.DataFrame
    bad_files: list[BadFile]


def scan(folder: Path, on_bad_file: str = "error") -> ScanResult:
    """Read every image and recording below `folder`, one folder a genre, into a manifest.

    Columns: `track_id` (the path below the folder, without extension), `path`, `genre`, `group`
    (tracks with the same pixels or samples share one, and so do segments of one recording in files
    of their own, `name.seg000`, `name.seg001`, ...), `sha256` (of the file's bytes) and `split`
    (`train`, `val` or `test` where the folder is laid out so, else empty). Sorted by `track_id`.

    Raises `DataError` for a folder that is missing, or has fewer than two genres, and for files
    that cannot be read, all named at once; `on_bad_file="skip"` goes on without them.
    """
    folder = folder.absolute()
    splits, genres = genre_folders(folder)
    found = [(split, genre, *look_below(root)) for split, genre, root in genres]
    files = [(split, genre, path) for split, genre, paths, _ in found for path in paths]
    known = content_hashes.recall()
    with ThreadPoolExecutor() as pool:
        examined = list(pool.map(partial(examine, known=known), [path for _, _, path in files]))
    content_hashes.remember(dict(result for result in examined if not isinstance(result, BadFile)))
    bad = [file for *_, unreadable in found for file in unreadable]
    bad += [result for result in examined if isinstance(result, BadFile)]
    if bad and on_bad_file == "error":
        raise DataError(describe_bad_files(folder, bad))
    rows = [
        (track_id(folder, path), str(path), genre, result[1], result[0], split)
        for (split, genre, path), result in zip(files, examined, strict=True)
        if not isinstance(result, BadFile)
    ]
    manifest = pd.DataFrame(rows, columns=COLUMNS).sort_values("track_id", ignore_index=True)
    manifest["group"] = name_groups(manifest)
    check_manifest(folder, manifest, bad, splits)
    return ScanResult(manifest, bad)


def genre_folders(folder: Path) -> tuple[bool, list[tuple[str, str, Path]]]:
    """Whether the folder is laid out as train, val, test; and (split, genre, folder) of each."""
    check_folder(folder)
    below = subfolders(folder)
    names = {path.name for path in below}
    if names == set(SPLITS):
        return True, [(s.name, g.name, g) for s in below for g in subfolders(s)]
    if any(name.lower() in SPLIT_NAMES for name in names):
        raise DataError(
            f"{folder} holds {', '.join(sorted(names))}; allowed are the folders "
            f"{', '.join(SPLITS)}, spelled so and nothing beside them, or folders of genres alone"
        )
    return False, [("", path.name, path) for path in below]


def examine(path: Path, known: Mapping[str, str]) -> tuple[str, str] | BadFile:
    """SHA-256 of a file's bytes and of its content, or what is wrong with it.

    `known`: the second by the first, for files that need not be decoded again.
    """
    try:
        str(path).encode()  # file systems take any bytes as a name; JSON, CSV and MLflow do not
        data = read(path)
        sha256 = hashlib.sha256(data).hexdigest()
        return sha256, known.get(sha256) or hash_content(data)
    except DataError as error:
        return BadFile(path, str(error))
    except UnicodeEncodeError:
        return BadFile(path, "has a name, or lies in a folder, that is not UTF-8; rename it")


def hash_content(data: bytes) -> str:
    """SHA-256 of pixels or samples; `DataError` for what has none."""
    return hashlib.sha256(content_of(data)).hexdigest()


def track_id(folder: Path, path: Path) -> str:
    """The path below the folder, without extension, with forward slashes on every system."""
    return path.relative_to(folder).with_suffix("").as_posix()


def check_manifest(folder: Path, manifest: pd.DataFrame, bad: list[BadFile], splits: bool) -> None:
    """Refuse what no classifier can be made of."""
    genres = sorted(manifest["genre"].unique())
    if len(genres) < 2:
        found = f"only {genres[0]!r}" if genres else "none"
        left_out = f" ({len(bad)} files could not be read)" if bad else ""
        where = "each of train, val and test" if splits else "one folder a genre"
        raise DataError(
            f"{folder} has {found} of the two genres or more that are needed, "
            f"with images or recordings in {where}{left_out}"
        )
    twice = manifest["track_id"][manifest["track_id"].duplicated()]
    if len(twice):
        raise DataError(
            f"{len(twice)} tracks of {folder} have one name with two extensions, for example "
            f"{twice.iloc[0]!r}; rename or remove one of each"
        )


def describe_bad_files(folder: Path, bad: list[BadFile]) -> str:
    """All bad files with their reasons."""
    lines = [f"  {file.path}: {file.reason}" for file in bad]
    return (
        f"{len(bad)} files below {folder} cannot be used; mend or remove them, or go on without "
        "them with --on-bad-file skip:\n" + "\n".join(lines)
    )
