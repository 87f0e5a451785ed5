"""Names of files: for any system, for a terminal, and those that a command may write."""

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

# Names that Windows keeps for devices.
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10))}
UNSAFE = set('/\\:*?"<>|%')
LONGEST = 200  # bytes of a name that something is added to; file systems take 255


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
