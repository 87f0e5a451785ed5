"""OGG, page by page: the recordings that were joined in one file (RFC 3533)."""

from itertools import pairwise

from genre_mlflow.errors import DataError

CAPTURE = b"OggS"
HEADER = 27  # bytes of a page before the table of its segments
FIRST = 2  # flag of the first page of a stream


def links(data: bytes) -> list[bytes]:
    """The file cut where a stream begins after another one has ended; mostly one piece.

    Raises `DataError` for a file that ends within a page.
    """
    starts: list[int] = []
    position, within = data.find(CAPTURE), False
    while 0 <= position < len(data):
        end = end_of_page(data, position)
        if end > len(data):
            raise DataError("is truncated: it ends within a page of its OGG stream")
        begins = bool(data[position + 5] & FIRST)
        if begins and (within or not starts):
            starts.append(position)
        within = not begins
        position = data.find(CAPTURE, end)
    if len(starts) < 2:
        return [data]
    return [data[start:end] for start, end in pairwise([*starts, len(data)])]


def end_of_page(data: bytes, start: int) -> int:
    """Where a page ends by its own table; behind the end of a file that ends within it."""
    if start + HEADER > len(data):
        return len(data) + 1
    n_segments = data[start + 26]
    table = data[start + HEADER : start + HEADER + n_segments]
    return start + HEADER + n_segments + sum(table) + (len(table) < n_segments)
