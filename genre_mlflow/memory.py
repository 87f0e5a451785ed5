"""A lack of memory in one line, whoever ran out of it: Python, numpy, torch on any device."""

import errno
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from genre_mlflow.errors import GenreError

# What torch's allocators, CUDA's libraries and C++ say; they raise a `RuntimeError` of some kind.
SHORTAGE = re.compile(
    r"out of memory|(can't|cannot) allocate memory|not enough memory|alloc_failed|bad_alloc", re.I
)
ASKED = re.compile(r"allocate ([\d.]*\d)\.? ([KMGTPE]i?B|bytes)")
MIB = 2**20  # bytes


class MemoryShortage(GenreError):
    """There is less memory than is needed."""


@contextmanager
def out_of_memory(where: str, remedy: str) -> Iterator[None]:
    """Turn a lack of memory in the block into a `MemoryShortage` of one line.

    `where`: the device; `remedy`: what may help, in the imperative.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_shortage(error):
            raise
        # What the block has left in its frames would lie in memory for as long as the error does.
        traceback.clear_frames(error.__traceback__)
        raise MemoryShortage(f"out of memory on {where}{asked_for(error)}; {remedy}") from error


def is_shortage(error: Exception) -> bool:
    """Whether it was memory that was missing."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return bool(SHORTAGE.search(str(error)))


def asked_for(error: Exception) -> str:
    """How much was asked for, in brackets, if the error says so."""
    found = ASKED.search(str(error))
    if not found:
        return ""
    number, unit = found.groups()
    size = f"{int(number) / MIB:,.0f} MiB" if unit == "bytes" else f"{number} {unit}"
    return f" ({size} were asked for)"
