"""The GTZAN collection as a corpus: found or fetched, checked, with the filtered split."""

import logging
import os
import shlex
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from genre_mlflow.corpus.gtzan.collection import EXCLUDED, Collection
from genre_mlflow.corpus.gtzan.download import ARCHIVE, download
from genre_mlflow.corpus.gtzan.sources import Found, read_source
from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.settings import SPLITS, check_one_source
from genre_mlflow.corpus.splits import check_every_genre
from genre_mlflow.errors import DataError
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.words import counted, few

GENRES, LISTS, MANIFEST, DOWNLOAD = "genres", "split", "manifest.csv", "download"

logger = logging.getLogger(__name__)


@dataclass
class Stock:
    """The tracks below `genres`: with the right checksum, and with a wrong one.

    `rejected`: tracks that the source has with a wrong checksum, and where.
    """

    folder: Path
    right: dict[str, Path] = field(default_factory=dict)
    wrong: dict[str, list[Path]] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What was made: the manifest of all tracks, how many are new, and which are not there."""

    out: Path
    manifest: pd.DataFrame
    n_new: int
    left_out: list[str]
    corrupt: list[str]


def prepare(
    out: Path,
    collection: Collection,
    source: str = "",
    fetch: bool = False,
    on_bad_file: str = "error",
) -> Result:
    """Bring a collection into `out`: `genres/`, `split/` and `manifest.csv`.

    `source` is a folder, whose files are linked, or an archive, which is extracted; with `fetch`
    the archive is downloaded. A track that is in place with the right checksum is not touched.

    Raises `DataError` for a source or an `out` that cannot be used, and for tracks that are missing
    or have a wrong checksum; `on_bad_file="skip"` goes on without those, but
    not with a wrong file in `out` itself.
    """
    check_one_source(source, fetch)
    check_out(out, source)
    stock = take_stock(out / GENRES, collection)
    n_there = len(stock.right)
    if len(stock.right) < len(collection.tracks):
        if fetch:
            logger.info("Downloading to %s", out / DOWNLOAD)
        sha256 = collection.archive_sha256
        archive = download(out / DOWNLOAD, sha256) if fetch else Path(source)
        fill(stock, archive, collection)
    better = f"Remove {out / DOWNLOAD} to fetch all anew" if fetch else "Give a better source"
    left_out = check_complete(stock, collection, on_bad_file, better)
    manifest = write_tables(out, collection.sides)
    if fetch and not left_out:
        remove_download(out / DOWNLOAD)
    return Result(out, manifest, len(stock.right) - n_there, left_out, collection.corrupt)


def remove_download(folder: Path) -> None:
    """Delete the archive, and its folder if nothing else is in it."""
    (folder / Path(ARCHIVE).name).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def check_out(out: Path, source: str) -> None:
    """Refuse a file or another's folder, and a source that is not there, or where links would go.

    Raises `DataError`.
    """
    if os.path.lexists(out) and not os.path.isdir(out):
        raise DataError(f"{out} is no folder; give one that is new, or made by this command")
    ours = {GENRES, LISTS, MANIFEST, DOWNLOAD}
    others = sorted({path.name for path in out.iterdir()} - ours) if out.is_dir() else []
    if others:
        raise DataError(
            f"{out} holds {few(others)}, not of this command; give a folder that is new, or made "
            "by it"
        )
    if source and not os.path.exists(source):
        raise DataError(f"{source} does not exist; give the folder or archive of the collection")
    target = (out / GENRES).resolve()
    origin = Path(source).resolve()
    if source and (origin == out.resolve() or origin == target or target in origin.parents):
        raise DataError(f"{source} is what {out} would be made of; give another folder to write to")


def take_stock(folder: Path, collection: Collection) -> Stock:
    """Check what an earlier call has left. Raises `DataError` for files that are none of ours."""
    stock = Stock(folder)
    files = sorted(path for path in folder.glob("*/**/*") if not path.is_dir())
    for path in files:
        if path.name.startswith("."):  # what a killed process was writing
            continue
        found = collection.find(path.name)
        if not found or found[0] in collection.corrupt or path != place(folder, *found):
            raise DataError(
                f"{path} is no track that this command has written; give a folder to write to "
                "that is new, or made by it"
            )
        if path.is_file() and collection.holds(found[0], path.read_bytes()):
            stock.right[found[0]] = path
        else:
            stock.wrong.setdefault(found[0], []).append(path)
    return stock


def place(folder: Path, track: str, extension: str) -> Path:
    """Where a track belongs."""
    return folder / track.split(".")[0] / f"{track}.{extension}"


def fill(stock: Stock, source: Path, collection: Collection) -> None:
    """Take from a source what is not in place yet."""
    n_found = 0

    def wanted(name: str) -> tuple[str, str] | None:
        found = collection.find(name)
        usable = found and found[0] not in stock.right and found[0] not in collection.corrupt
        return found if usable else None

    for found in read_source(source, wanted):
        n_found += 1
        if collection.holds(found.track, found.data):
            add(stock, found)
        else:
            stock.rejected.setdefault(found.track, found.where)
    if not n_found and not stock.right:
        example = collection.tracks[0]
        raise DataError(
            f"{source} holds no recording of the collection: no file at any depth is called like "
            f"{example}.wav, .au or .flac"
        )


def add(stock: Stock, found: Found) -> None:
    """Put a track in its place, in the stead of what is wrong there."""
    target = place(stock.folder, found.track, found.extension)
    target.parent.mkdir(parents=True, exist_ok=True)
    for path in stock.wrong.pop(found.track, []):
        path.unlink()
    if not (found.path and linked(found.path.resolve(), target)):
        with atomic_write(target) as file:
            file.write(found.data)
    stock.right[found.track] = target
    stock.rejected.pop(found.track, None)


def linked(path: Path, target: Path) -> bool:
    """Make a hard link, else a symbolic one; False where there are neither."""
    for link in (os.link, os.symlink):
        try:
            link(path, target)
            return True
        except OSError:  # another disk, or a system without such links
            continue
    return False


def check_complete(
    stock: Stock, collection: Collection, on_bad_file: str, better: str
) -> list[str]:
    """Tracks that are not there. Raises `DataError` for them unless they are to be skipped."""
    in_the_way = [str(path) for paths in stock.wrong.values() for path in paths]
    if in_the_way:
        raise DataError(
            f"{counted(len(in_the_way), 'file')} with a wrong checksum, and the source has no "
            f"better ones: {few(sorted(in_the_way))}; remove them"
        )
    left_out = [track for track in collection.tracks if track not in stock.right]
    if left_out and on_bad_file == "error":
        wrong = [f"{track} ({stock.rejected[track]})" for track in sorted(stock.rejected)]
        missing = [track for track in left_out if track not in stock.rejected]
        counts = [f"{len(wrong)} with a wrong checksum: {few(wrong)}"] if wrong else []
        counts += [f"{len(missing)} missing: {few(missing)}"] if missing else []
        raise DataError(
            f"{len(left_out)} of the {len(collection.tracks)} tracks cannot be used, "
            f"{'; '.join(counts)}. {better}, or go on without them with --on-bad-file skip"
        )
    return left_out


def write_tables(out: Path, sides: Mapping[str, str]) -> pd.DataFrame:
    """Write the manifest and the lists of the split, of the tracks that are there.

    In the manifest the split of excluded tracks is empty.
    """
    manifest = scan(out / GENRES).manifest
    names = manifest["track_id"].str.rpartition("/")[2]
    side = names.map(dict(sides))
    for name in (*SPLITS, EXCLUDED):
        write(out / LISTS / f"{name}.txt", "".join(f"{track}\n" for track in names[side == name]))
    manifest["split"] = side.where(side.isin(SPLITS), "")
    write(out / MANIFEST, manifest.to_csv(index=False))
    return manifest


def write(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_write(path) as file:
        file.write(text.encode())


def summary(result: Result) -> str:
    """What was found, and the next command."""
    manifest, genres = result.manifest, result.out / GENRES
    counts = Counter(manifest["split"])
    lines = [
        f"{counted(len(manifest), 'track')} of {counted(manifest['genre'].nunique(), 'genre')} in "
        f"{genres}, "
        f"{result.n_new} of them new; all have the right checksum",
        f"Left out as corrupt in the common distribution: {few(result.corrupt)}",
    ]
    if result.left_out:
        lines.append(f"Left out as missing or wrong: {few(result.left_out)}")
    lines += [
        "Filtered split (Kereliuk, Sturm, Larsen 2015): "
        + ", ".join(f"{counts[name]} {name}" for name in SPLITS)
        + f"; {counts['']} excluded",
        f"Manifest: {result.out / MANIFEST}",
    ]
    try:
        check_every_genre(manifest[manifest["split"] != ""])
    except DataError as error:
        return "\n".join([*lines, f"With so few tracks this split cannot be trained on: {error}"])
    command = ["genre-mlflow", "train", "--data", str(genres)]
    command += ["--split-dir", str(result.out / LISTS)]
    return "\n".join([*lines, f"Next: {shlex.join(command)}"])
