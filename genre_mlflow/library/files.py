"""Which files of a library are predicted, and what is left out of its folders."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from genre_mlflow.corpus.albums import IMAGE, RECORDING, album_pictures, sound_or_image
from genre_mlflow.corpus.folders import (
    EMPTY,
    PICTURES,
    RECORDINGS,
    BadFile,
    check_paths,
    ending_of,
    look_below,
)
from genre_mlflow.features.audio import is_recording_file
from genre_mlflow.files.words import counted

LITTER = "litter"
NO_ENDING = "without an ending"
LONGEST_ENDING = 8  # letters; what follows a dot may be half a sentence
SHOWN = 10  # endings


@dataclass(frozen=True)
class Found:
    """Files to predict, what cannot be looked into, and how much of what was left out.

    `left_out`: by `IMAGE`, `LITTER` or the ending, `.cue`, `.log`, ...
    """

    files: list[Path | BadFile]
    left_out: Counter[str]


def find_files(
    paths: Sequence[str],
    without: Iterable[Path] = (),
    done: Set[str] = frozenset(),
    moved: Set[str] = frozenset(),
) -> Found:
    """Files, and music below folders, each once, in order; and what cannot be looked into.

    Left out of a folder are files that are no music by name and content, files of other programs,
    and all images where there are recordings, or were before they were sorted. What is given by
    its own name is predicted, whatever it is.

    `without`: files, and folders with all below them, that are passed over. `done`: absolute
    paths of files that may be gone, or whose folders may be empty, since they were predicted.
    `moved`: where recordings lay before they were sorted.
    Raises `DataError` for another path that does not exist.
    """
    check_paths([path for path in paths if os.path.abspath(path) not in done])
    hidden = {os.path.abspath(path) for path in without}
    below_hidden = tuple(f"{path}{os.sep}" for path in hidden)
    gone = {path for path in done if is_sound(path) and not os.path.lexists(path)} | moved
    found: dict[str, Path | BadFile] = {}
    left_out: dict[str, str] = {}
    for path in map(Path, paths):
        tracks, out = {os.path.abspath(path): path}, {}
        if os.path.isdir(path):
            below = look_below(path)
            tracks = {os.path.abspath(track): track for track in below.tracks}
            out = no_music(os.path.abspath(path), tracks, done, gone)
            out.update({os.path.abspath(one): LITTER for one in below.litter})
            found.update({place_of(b): b for b in below.bad if not (done and b.reason == EMPTY)})
        left_out.update(out)
        for place, track in tracks.items():
            if place not in out and place not in hidden and not place.startswith(below_hidden):
                found.setdefault(place, track)
    counts = Counter(
        what
        for place, what in left_out.items()
        if place not in found and place not in hidden and not place.startswith(below_hidden)
    )
    return Found(list(found.values()), counts)


def no_music(
    folder: str, tracks: Mapping[str, Path], done: Set[str], gone: Set[str]
) -> dict[str, str]:
    """Which of a folder's files are not predicted, and what they are; all by absolute paths."""
    kinds = {place: kind(track) for place, track in tracks.items() if place not in done}
    out = {place: what for place, what in kinds.items() if what not in (RECORDING, IMAGE)}
    images = [Path(place) for place, what in kinds.items() if what == IMAGE]
    if images:
        sounds = [tracks[p] for p, what in kinds.items() if what == RECORDING]
        sounds += [tracks[p] for p in tracks if p in done and ending_of(p) not in PICTURES]
        album = Path(folder)  # all of it, if there is a recording in it
        recording = any(p.startswith(os.path.join(folder, "")) for p in gone) or any(
            map(is_recording, sorted(sounds, key=lambda path: not is_sound(path.name)))
        )
        covers = album_pictures(album.parent, [album / "recording"] if recording else [], images)
        out.update({str(path): IMAGE for path in covers})
    return out


def kind(path: Path) -> str:
    """Recording or image, by name or content; else what it is counted as.

    What is neither and cannot be opened is taken for a recording, whose row says why. Of a file
    with an ending the head alone is read: a library may hold images of discs.
    """
    ending = ending_of(path.name)
    if ending in RECORDINGS:
        return RECORDING
    is_ending = ending.isascii() and ending.isalnum() and len(ending) <= LONGEST_ENDING
    otherwise = IMAGE if ending in PICTURES else ""
    try:
        known = sound_or_image(path, whole=not is_ending) or otherwise
    except OSError:
        known = otherwise or RECORDING
    return known or (f".{ending}" if is_ending else NO_ENDING)


def is_sound(name: str) -> bool:
    """Whether a file is a recording by its name."""
    return ending_of(os.path.basename(name)) in RECORDINGS


def is_recording(path: Path) -> bool:
    """Whether a file is a recording by its content."""
    with suppress(OSError):
        return is_recording_file(path)
    return False


def name_of(file: Path | BadFile) -> str:
    """The path as a table has it: what is no UTF-8 in it is written as numbers."""
    path = file.path if isinstance(file, BadFile) else file
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def place_of(file: Path | BadFile) -> str:
    """The absolute path, whatever folder the command is given in."""
    return os.path.abspath(name_of(file))


def in_words(left_out: Counter[str]) -> str:
    """How much of what was left out, in one line; empty for nothing."""
    by_number = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    endings = [(what, n) for what, n in by_number if what not in (IMAGE, LITTER)]
    parts = [f"{n:,} {what}" for what, n in endings[:SHOWN]]
    if left_out[IMAGE]:
        parts.insert(0, f"{counted(left_out[IMAGE], 'image')} beside recordings")
    if endings[SHOWN:]:
        parts.append(f"{sum(n for _, n in endings[SHOWN:]):,} with other endings")
    if left_out[LITTER]:
        parts.append(f"{counted(left_out[LITTER], 'file')} of other programs")
    return ", ".join(parts)
