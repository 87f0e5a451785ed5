"""Numbers of things in the words of a message."""


def counted(n: int, noun: str) -> str:
    """How many there are of something: `1 track`, `2,000 tracks`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
