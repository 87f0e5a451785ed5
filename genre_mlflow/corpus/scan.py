"""Scanning a folder of music: every usable track, and what is wrong with the others."""

import hashlib
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd

from genre_mlflow.corpus import content_hashes
from genre_mlflow.corpus.albums import album_pictures, sound_or_image
from genre_mlflow.corpus.faults import SHOWN, BadFilesError, bad_lines
from genre_mlflow.corpus.folders import (
    PICTURES,
    BadFile,
    ending_of,
    is_litter,
    look_below,
    subfolders,
    without_ending,
)
from genre_mlflow.corpus.manifest import COLUMNS, name_groups
from genre_mlflow.corpus.settings import SPLITS, check_folder
from genre_mlflow.errors import DataError
from genre_mlflow.features.formats.kinds import IMAGES, format_of
from genre_mlflow.features.muting import muted_decoders
from genre_mlflow.features.preprocessing import content_of, further_decoders, read
from genre_mlflow.files.names import as_seen
from genre_mlflow.files.words import counted, few

COLLECTION = re.compile(r"audio|image|genres|spectro|feature|mel|wav|png|original|data")
NUMBERS = {1: "one genre", 2: "two genres"}
SPLIT_NAMES = {*SPLITS, "valid", "validation", "dev"}  # in any case; a genre is never called so


@dataclass(frozen=True)
class ScanResult:
    """The manifest of a folder, and what was left out of it.

    `notes`: what else is worth knowing, by its kind: paths that were left out, and which genre has
    recordings or images where the corpus has both.
    """

    manifest: pd.DataFrame
    bad_files: list[BadFile]
    notes: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Examined:
    """A file that can be used: SHA-256 of its bytes and of its content, and its format.

    `decoder`: what has decoded it beside the usual ones, which the hash of its content depends on.
    """

    sha256: str
    content: str
    format: str
    decoder: str

    @property
    def is_recording(self) -> bool:
        """Whether it is no image."""
        return self.format not in IMAGES.values()


def scan(folder: Path, on_bad_file: str = "error", fewest_genres: int = 2) -> ScanResult:
    """Read every image and recording below `folder`, one folder a genre, into a manifest.

    Columns: `track_id` (the path below the folder, without extension), `path`, `genre`, `group`
    (tracks with the same pixels or samples share one, and so do segments of one recording in files
    of their own, `name.seg000`, `name.seg001`, ...), `sha256` (of the file's bytes) and `split`
    (`train`, `val` or `test` where the folder is laid out so, else empty) and `format` (as
    `format_of` names it). Sorted by `track_id`.

    Raises `DataError` for a folder that is missing, or has fewer than `fewest_genres`, 1 or 2, and
    for files that cannot be read, all named at once; `on_bad_file="skip"` goes on without them.
    """
    folder = folder.absolute()
    splits, genres = genre_folders(folder)
    found = [(split, genre, root, look_below(root)) for split, genre, root in genres]
    files = [(s, genre, root, path) for s, genre, root, below in found for path in below.tracks]
    known = content_hashes.recall()
    with muted_decoders(), ThreadPoolExecutor() as pool:
        examined = list(pool.map(partial(examine, known=known), [path for *_, path in files]))
    good = {
        path: result
        for (*_, path), result in zip(files, examined, strict=True)
        if isinstance(result, Examined)
    }
    content_hashes.remember({memo_key(r.sha256, r.decoder): r.content for r in good.values()})
    sounds = {path for path, result in good.items() if result.is_recording}
    sounds |= {f.path for f in examined if isinstance(f, BadFile) and f.is_recording}
    covers = {c for *_, root, below in found for c in covers_in(root, below.tracks, sounds, good)}
    bad = [file for *_, below in found for file in below.bad]
    bad += [file for file in examined if isinstance(file, BadFile) and file.path not in covers]
    if bad and on_bad_file == "error":
        raise BadFilesError(describe_bad_files(folder, bad), bad)
    rows = [
        (track_id(folder, path), str(path), genre, one.content, one.sha256, split, one.format)
        for split, genre, _, path in files
        if path not in covers and (one := good.get(path))
    ]
    manifest = pd.DataFrame(rows, columns=COLUMNS).sort_values("track_id", ignore_index=True)
    manifest["group"] = name_groups(manifest)
    check_manifest(folder, manifest, bad, splits, fewest_genres)
    left_out = {
        "pictures_of_albums_left_out": sorted(covers),
        "files_of_other_programs_left_out": [p for *_, below in found for p in below.litter],
        "music_beside_the_folders_of_genres_left_out": loose_music(folder),
    }
    notes = {kind: [str(path) for path in paths] for kind, paths in left_out.items()}
    tracks = manifest[["genre", "path"]].itertuples(index=False)
    kinds = [(genre, good[Path(path)].is_recording) for genre, path in tracks]
    notes["genres_of_recordings_and_of_images"] = mixture(kinds)
    return ScanResult(manifest, bad, notes)


def mixture(kinds: Sequence[tuple[str, bool]]) -> list[str]:
    """How many recordings and images each genre has, where there are both.

    `kinds`: of each track, the genre and whether it is a recording.
    """
    counts = Counter(kinds)
    if len({is_recording for _, is_recording in counts}) < 2:
        return []
    return [
        f"{genre}: {counted(counts[genre, True], 'recording')}, "
        f"{counted(counts[genre, False], 'image')}"
        for genre in sorted({genre for genre, _ in counts})
    ]


def genre_folders(folder: Path) -> tuple[bool, list[tuple[str, str, Path]]]:
    """Whether the folder is laid out as train, val, test; and (split, genre, folder) of each."""
    check_folder(folder)
    below = subfolders(folder)
    names = {path.name for path in below}
    if names == set(SPLITS):
        found = [(s.name, g.name, g) for s in below for g in subfolders(s)]
        check_names({genre for _, genre, _ in found})
        return True, found
    if any(name.lower() in SPLIT_NAMES for name in names):
        raise DataError(
            f"{folder} holds {few(sorted(names))}; allowed are the folders "
            f"{', '.join(SPLITS)}, spelled so and nothing beside them, or folders of genres alone"
        )
    check_names(names)
    check_collections(folder, below)
    return False, [("", path.name, path) for path in below]


def check_names(genres: Set[str]) -> None:
    """Refuse genres that look alike. Raises `DataError`."""
    alike: dict[str, list[str]] = {}
    for genre in sorted(genres):
        alike.setdefault(as_seen(genre), []).append(genre)
    for names in alike.values():
        if len(names) > 1:
            raise DataError(
                f"the genres {' and '.join(map(ascii, names))} differ only in letters that look "
                "alike, in capitals or in blanks; join their folders, or rename one"
            )


def check_collections(folder: Path, below: Sequence[Path]) -> None:
    """Refuse a folder of collections, each of which has the genres. Raises `DataError`."""
    inner = []
    for one in below:
        try:
            inner.append({path.name for path in subfolders(one)})
        except DataError:
            return  # out of reach, which is said with all else that is wrong
    shared = set.intersection(*inner) if len(inner) > 1 else set()
    named = [path for path in below if COLLECTION.search(path.name.lower())]
    if len(shared) > 1 and named:
        raise DataError(
            f"{folder} holds {few([repr(path.name) for path in below])}, which have the "
            f"folders {few(sorted(shared))} in common and look like collections, not "
            f"genres; give one of them, such as {named[0]}"
        )


def covers_in(
    root: Path, tracks: Sequence[Path], sounds: Set[Path], good: Mapping[Path, Examined]
) -> set[Path]:
    """Pictures of albums in the folder of a genre, also those that are no spectrograms at all.

    `sounds`: its recordings, also those that cannot be read.
    """
    images = [p for p in set(tracks) - sounds if p in good or ending_of(p.name) in PICTURES]
    return album_pictures(root, sounds & set(tracks), images)


def loose_music(folder: Path) -> list[Path]:
    """Recordings and images that lie beside the folders of genres."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and not is_litter(path.name):
            with suppress(OSError):
                if sound_or_image(path):
                    found.append(path)
    return found


def examine(path: Path, known: Mapping[str, str]) -> Examined | BadFile:
    """What a file is, or what is wrong with it.

    `known`: SHA-256 of contents by `memo_key`, for files that need not be decoded again.
    """
    kind = ""
    try:
        str(path).encode()  # file systems take any bytes as a name; JSON, CSV and MLflow do not
        data = read(path)
        kind = format_of(data)
        decoder = " ".join(further_decoders([kind]))
        sha256 = hashlib.sha256(data).hexdigest()
        content = known.get(memo_key(sha256, decoder)) or hash_content(data)
        return Examined(sha256, content, kind, decoder)
    except DataError as error:
        return BadFile(path, str(error), is_recording=kind not in ("", *IMAGES.values()))
    except UnicodeEncodeError:
        return BadFile(path, "has a name, or lies in a folder, that is not UTF-8; rename it")


def memo_key(sha256: str, decoder: str) -> str:
    """Under which the hash of a file's content is remembered."""
    return f"{sha256} {decoder}".strip()


def hash_content(data: bytes) -> str:
    """SHA-256 of pixels or samples; `DataError` for what has none."""
    return hashlib.sha256(content_of(data)).hexdigest()


def track_id(folder: Path, path: Path) -> str:
    """The path below the folder, without a known extension, with forward slashes everywhere."""
    below = path.relative_to(folder)
    return below.with_name(without_ending(below.name)).as_posix()


def check_manifest(
    folder: Path, manifest: pd.DataFrame, bad: list[BadFile], splits: bool, fewest_genres: int
) -> None:
    """Refuse what no classifier can be made of, or, with one genre, what holds no music."""
    genres = sorted(manifest["genre"].unique())
    if len(genres) < fewest_genres:
        found = f"only {genres[0]!r}" if genres else "none"
        left_out = f" ({counted(len(bad), 'file')} could not be read)" if bad else ""
        where = "each of train, val and test" if splits else "one folder a genre"
        raise BadFilesError(
            f"{folder} has {found} of the {NUMBERS[fewest_genres]} or more that are needed, "
            f"with images or recordings in {where}{left_out}",
            bad,
        )
    twice = manifest["track_id"][manifest["track_id"].duplicated()]
    if len(twice):
        raise DataError(
            f"{folder} has {counted(len(twice), 'track')} of one name with two extensions, such as "
            f"{twice.iloc[0]!r}; rename or remove one of each"
        )


def describe_bad_files(folder: Path, bad: list[BadFile]) -> str:
    """What is wrong with which files, and how to have all of them named."""
    lines = [
        f"{counted(len(bad), 'file')} below {folder} cannot be used; mend or remove what is named "
        "here, or go on without it with --on-bad-file skip:",
        *(f"  {line}" for line in bad_lines(bad)),
    ]
    if len(bad) > SHOWN:
        command = f"genre-mlflow corpus scan {shlex.quote(str(folder))} --faults FILE.json"
        lines.append(f"all of them are written by {command}")
    return "\n".join(lines)
