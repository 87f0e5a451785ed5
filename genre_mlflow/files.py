"""Where derived files lie, and how a file is written so that it is never half there."""

import os
import unicodedata
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from genre_mlflow.errors import SettingsError

HOME_VARIABLE = "GENRE_HOME"
HOME_DEFAULT = ".genre"
# Names that Windows keeps for devices.
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10))}
UNSAFE = set('/\\:*?"<>|%')
LONGEST = 200  # bytes of a name that something is added to; file systems take 255


def home() -> Path:
    """Folder of all derived files: `GENRE_HOME`, else `.genre` in the working folder."""
    return Path(os.environ.get(HOME_VARIABLE) or HOME_DEFAULT).absolute()


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary neighbour of `path`; flush it to disk and rename it when all went well.

    A process killed at any moment leaves either the old file or the new one. The temporary name
    ends in `.partial`. Unlike `tempfile`'s files, those written here can be read by others as far
    as the umask allows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with open(partial, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, so that a renamed file outlives a power cut."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def printable(path: Path) -> str:
    """A path for a terminal or a figure, whatever bytes its name is made of."""
    return os.fsencode(path).decode(errors="backslashreplace")


def check_output(out: str, endings: tuple[str, ...]) -> None:
    """Refuse a file that could not be written, before any work. Raises `SettingsError`."""
    if not out:
        return
    if Path(out).suffix.lower() not in endings:
        raise SettingsError(
            f"--out is {out!r}; allowed are names that end in {' or '.join(endings)}"
        )
    if not Path(out).absolute().parent.is_dir():
        raise SettingsError(f"--out is {out!r}, but {Path(out).absolute().parent} is no folder")


def file_names(words: Iterable[str]) -> dict[str, str]:
    """A name for a file or a folder for each word, on any system; each word has its own.

    Also where `Rock` and `rock` would be one file.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for word in words:
        name, number = file_name(word), 1
        while folded(name) in taken:
            number += 1
            name = f"{file_name(word)} ({number})"
        taken.add(folded(name))
        names[word] = name
    return names


def folded(name: str) -> str:
    """What is the same for names that some system takes for one."""
    return unicodedata.normalize("NFC", name).casefold()


def file_name(word: str) -> str:
    """A word with everything that some system refuses in a name written as `%` and its number."""
    safe = "".join(
        f"%{ord(c):02X}" if c in UNSAFE or ord(c) < 32 or (i == 0 and c == ".") else c
        for i, c in enumerate(word)
    )
    stripped = safe.rstrip(". ")
    safe = stripped + "".join(f"%{ord(c):02X}" for c in safe[len(stripped) :])
    if safe.upper() in DEVICES:
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    return safe.encode()[:LONGEST].decode(errors="ignore")
