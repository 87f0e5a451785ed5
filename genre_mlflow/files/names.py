"""Names of files: for any system, for a terminal, and those that a command may write."""

import errno
import hashlib
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

# Names that Windows keeps for devices.
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10))}
UNSAFE = set('/\\:*?"<>|%')
LONGEST = 200  # bytes of a name that something is added to; file systems take 255
BESIDE = 100  # the same of a hidden one, to which 42 are added; encrypted file systems take 143
DIGEST = 16  # letters that stand for the rest of a name


def printable(path: Path) -> str:
    """A path for a terminal or a figure, whatever bytes its name is made of."""
    return escaped(os.fsencode(path).decode(errors="backslashreplace"))


def escaped(text: str, keep: str = "") -> str:
    """Text in which what would steer a terminal is written as its number, but the letters kept."""
    return "".join(
        c if c in keep or c.isprintable() else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


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


def as_seen(name: str) -> str:
    """What is the same for names that look alike: folded, blanks alike, without what has no width.

    Marks that join or turn letters (of the category Cf) have none.
    """
    seen = "".join(c for c in folded(name) if unicodedata.category(c) != "Cf")
    return " ".join(seen.split())


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
    return cut(safe, LONGEST).rstrip(". ") if n_bytes(safe) > LONGEST else safe


def n_bytes(name: str) -> int:
    """The length of a name as file systems count it."""
    return len(os.fsencode(name))


def cut(name: str, length: int) -> str:
    """The whole letters at the beginning of a name that are within so many bytes."""
    return os.fsencode(name)[: max(0, length)].decode(errors="ignore")


def hidden_name(name: str, ending: str) -> str:
    """The name of a hidden file or folder beside that of `name`, for a lock or while it is written.

    It is no longer than file systems take, however long `name` is, and the same each time.
    """
    if n_bytes(name) > BESIDE:
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:DIGEST]
        name = f"{cut(name, BESIDE - DIGEST - 1)}-{digest}"
    return f".{name}{ending}"


def too_long(path: Path) -> str:
    """What in a path the system refuses for its length, in words; empty where it takes all of it.

    The system is asked: each has a limit of its own.
    """
    path = path.absolute()
    folder = next((one for one in path.parents if os.path.isdir(one)), path)
    for name in path.relative_to(folder).parts:
        if is_refused(folder / name):
            return f"a name of {n_bytes(name):,} bytes"
    return f"a path of {n_bytes(str(path)):,} bytes" if is_refused(path) else ""


def is_refused(path: Path) -> bool:
    """Whether the system does not even look for such a path, for its length."""
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def is_same_file(one: Path | str, other: Path | str) -> bool:
    """Whether two names are of one file, which is there."""
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)
