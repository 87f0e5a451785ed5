"""What lies in a folder of music, as paths: light enough for a command that starts at once."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from genre_mlflow.errors import DataError

SETTINGS_FILE = ".render.json"  # in a folder of drawn images
EMPTY = "is empty"  # what is wrong with a folder without files
# Of operating systems, file managers, clouds, version control and our own, in small letters.
LITTER = (
    "._*", ".ds_store", ".appledouble", ".spotlight-v100", ".trash*", ".fseventsd",
    ".temporaryitems", ".localized", "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini",
    "$recycle.bin", "system volume information", ".directory", ".hidden", ".nomedia",
    ".picasa.ini", ".thumbnails", "@eadir", "lost+found", ".nfs*", ".fuse_hidden*", ".~lock*",
    ".syncthing*", ".stfolder*", ".stversions", ".dropbox*", ".git", ".gitignore",
    ".gitattributes", ".gitkeep", ".hg", ".svn", ".ipynb_checkpoints", ".cache", ".genre",
    ".venv", ".render.json", ".*.partial", ".*.lock",
)  # fmt: skip
# Of files that hold sound, also in formats that are not read here.
RECORDINGS = frozenset({
    "wav", "wave", "w64", "rf64", "au", "snd", "flac", "ogg", "oga", "opus", "spx", "mp3", "mp2",
    "mp1", "mpga", "mpeg", "m4a", "m4b", "m4p", "m4r", "mp4", "m4v", "mov", "3gp", "3g2", "aac",
    "ac3", "dts", "aif", "aiff", "aifc", "wma", "asf", "wmv", "ape", "wv", "tta", "tak", "mpc",
    "mka", "mkv", "webm", "weba", "caf", "amr", "shn", "dsf", "dff", "ra",
})  # fmt: skip
PICTURES = frozenset({
    "png", "jpg", "jpeg", "jpe", "jfif", "gif", "bmp", "tif", "tiff", "webp",
})  # fmt: skip
ENDINGS = RECORDINGS | PICTURES


@dataclass(frozen=True)
class BadFile:
    """A file that is no usable track, and why; it may be a recording all the same."""

    path: Path
    reason: str
    is_recording: bool = False


class Below(NamedTuple):
    """What lies in a folder: tracks, folders that are out of reach, and what was passed over."""

    tracks: list[Path]
    bad: list[BadFile]
    litter: list[Path]


def is_litter(name: str) -> bool:
    """Whether a file or a folder of this name is of some program, and never music."""
    return any(fnmatchcase(name.lower(), pattern) for pattern in LITTER)


def without_ending(name: str) -> str:
    """A file's name without the ending of a known format; `Mr. X` and `blues.00000` stay."""
    return name.rpartition(".")[0] if ending_of(name) in ENDINGS else name


def ending_of(name: str) -> str:
    """What follows the last dot of a name, in small letters; empty where nothing is before it."""
    stem, _, ending = name.rpartition(".")
    return ending.lower() if stem else ""


def subfolders(folder: Path) -> list[Path]:
    """Folders directly below, by name, but those that are litter."""
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not is_litter(p.name))
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error


def look_below(folder: Path) -> Below:
    """The same as `walk`; an empty folder is out of reach, too."""
    below = walk(folder)
    if not below.tracks and not below.bad:
        below.bad.append(BadFile(folder, EMPTY))
    return below


def walk(folder: Path) -> Below:
    """What lies in a folder at any depth, links followed, each folder read once."""
    below = Below([], [], [])
    closed: list[OSError] = []
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, onerror=closed.append, followlinks=True):
        below.litter.extend(Path(root, name) for name in folders + names if is_litter(name))
        folders[:] = sorted(name for name in folders if not is_litter(name))
        folders[:] = [name for name in folders if is_new(Path(root, name), seen)]
        paths = [Path(root, name) for name in names if not is_litter(name)]
        below.tracks.extend(path for path in paths if is_track(path))
    below.tracks.sort()
    bad = [BadFile(Path(error.filename), f"cannot be read: {error.strerror}") for error in closed]
    below.bad.extend(sorted(bad, key=lambda file: file.path))
    return below


def is_new(folder: Path, seen: set[str]) -> bool:
    """Whether this folder has not been read, by this path or another; links may form a loop."""
    place = os.path.realpath(folder)
    is_above = Path(os.path.realpath(folder.parent)).is_relative_to(place)
    if place in seen or is_above:
        return False
    seen.add(place)
    return True


def is_track(path: Path) -> bool:
    """True unless it is a pipe, a socket or a device; of what is out of reach, reading says why."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def check_paths(paths: Sequence[str]) -> None:
    """Raise `DataError` for a path that does not exist."""
    for path in paths:
        check_named(path, "a path")
        if not os.path.exists(path):  # unlike pathlib's, it never raises
            raise DataError(f"{path} does not exist")


def check_named(path: str, what: str) -> None:
    """Raise `DataError` for an empty name, as an unset variable leaves it."""
    if not path.strip():
        raise DataError(f"{what} is {path!r}; give the name of a file or a folder")


def check_render(audio: Path, images: Path) -> None:
    """Refuse a source that is no folder, and a target that is a file or within the source."""
    if not audio.is_dir():
        raise DataError(f"{audio} is no folder; give one with recordings")
    if images.exists() and not images.is_dir():
        raise DataError(f"{images} is a file; give a folder for the images")
    foreign = images.is_dir() and not (images / SETTINGS_FILE).exists()
    if images.resolve().is_relative_to(audio.resolve()):
        raise DataError(
            f"{images} is {audio} or lies within it; give a folder for the images beside it"
        )
    if foreign and any(not path.name.startswith(".") for path in images.iterdir()):
        raise DataError(
            f"{images} holds files that were not drawn here; give a new or an empty folder"
        )
