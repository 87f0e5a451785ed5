"""Decoders that print on their own, kept from the terminal."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STANDARD_ERROR = 2  # file descriptor


@contextmanager
def muted_decoders() -> Iterator[None]:
    """Lose what C libraries print on their own, while the block runs; Python's errors are shown.

    libmpg123, under libsndfile, notes odd frames of an MP3 on the standard error, past every
    progress bar; what matters it returns as an error, too. Processes started in the block lose
    theirs.
    """
    before = sys.stderr
    try:
        is_terminals = before.fileno() == STANDARD_ERROR
    except (OSError, ValueError, AttributeError):
        is_terminals = False  # a test or a notebook has put something else in its place
    if not is_terminals:
        yield
        return
    before.flush()
    kept = os.dup(STANDARD_ERROR)
    with os.fdopen(kept, "w", 1, before.encoding, "backslashreplace") as sys.stderr:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, STANDARD_ERROR)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(kept, STANDARD_ERROR)
            sys.stderr = before
