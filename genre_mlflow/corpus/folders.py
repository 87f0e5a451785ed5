"""What lies in a folder of music, as paths: light enough for a command that starts at once."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genre_mlflow.errors import DataError

SETTINGS_FILE = ".render.json"  # in a folder of drawn images
EMPTY = "is empty"  # what is wrong with a folder without files


@dataclass(frozen=True)
class BadFile:
    """A file that is no usable track, and why."""

    path: Path
    reason: str


def subfolders(folder: Path) -> list[Path]:
    """Folders directly below, by name, hidden ones left out."""
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error


def look_below(folder: Path) -> tuple[list[Path], list[BadFile]]:
    """The tracks in a folder, and the folders that are out of reach, or the folder if empty."""
    tracks, bad = walk(folder)
    return tracks, bad if tracks or bad else [BadFile(folder, EMPTY)]


def walk(folder: Path) -> tuple[list[Path], list[BadFile]]:
    """The tracks in a folder, and the folders that are out of reach."""
    tracks: list[Path] = []
    closed: list[OSError] = []
    for root, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(root, name) for name in names if not name.startswith(".")]
        tracks += [path for path in paths if is_track(path)]
    bad = [BadFile(Path(error.filename), f"cannot be read: {error.strerror}") for error in closed]
    return sorted(tracks), sorted(bad, key=lambda file: file.path)


def is_track(path: Path) -> bool:
    """True unless it is a pipe, a socket or a device; of what is out of reach, reading says why."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def check_paths(paths: Sequence[str]) -> None:
    """Raise `DataError` for a path that does not exist."""
    for path in paths:
        if not os.path.exists(path):  # unlike pathlib's, it never raises
            raise DataError(f"{path} does not exist")


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
