"""Numbers of things, and names of some of them, in the words of a message."""

from collections.abc import Sequence

SHOWN = 5  # examples in one error


def counted(n: int, noun: str) -> str:
    """How many there are of something: `1 track`, `2,000 tracks`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def few(names: Sequence[str], between: str = ", ") -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return between.join(names[:SHOWN]) + more
