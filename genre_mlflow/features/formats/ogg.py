"""OGG, page by page: the recordings that were joined in one file (RFC 3533)."""

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from genre_mlflow.errors import DataError

CAPTURE = b"OggS"
HEADER = 27  # bytes of a page before the table of its segments
FIRST = 2  # flag of the first page of a stream
NOWHERE = (1 << 64) - 1  # position of a page on which no packet ends
LONGEST_PACKET = 8192  # samples, of Vorbis; one of Opus has 5760


class Page(NamedTuple):
    """Of which stream, how many samples end with it, and how many packets do."""

    stream: int
    position: int
    n_packets: int


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


def checked(link: bytes) -> bytes:
    """A stream of Vorbis or Opus whose last page tells its length, as libsndfile believes.

    Raises `DataError` for one that does not, or is not counted from 0.
    """
    pages = list(pages_of(link))
    if len({page.stream for page in pages}) > 1:
        return link  # the sound of a film: whose pages are whose is not known here
    placed = [page for page in pages if page.n_packets and page.position]
    if not placed:  # but those of headers, which are at 0
        return link
    first, last = placed[0], placed[-1]
    ends = [page for page in pages if page.n_packets][-1]
    if first.position != NOWHERE and first.position > first.n_packets * LONGEST_PACKET:
        raise DataError(
            f"begins at sample {first.position:,} by its OGG pages, as what was cut out of a "
            "stream does; encode it anew"
        )
    highest = max((page.position for page in placed if page.position != NOWHERE), default=0)
    if ends is not last or last.position == NOWHERE or last.position < highest:
        raise DataError("is damaged: the last page of its OGG stream tells a wrong position")
    return link


def pages_of(link: bytes) -> Iterator[Page]:
    """The pages, up to the end or what is none."""
    position = link.find(CAPTURE)
    while 0 <= position < len(link) and link[position : position + 4] == CAPTURE:
        end = end_of_page(link, position)
        table = link[position + HEADER : position + HEADER + link[position + 26]]
        n_packets = sum(size < 255 for size in table)
        told, stream = struct.unpack_from("<QI", link, position + 6)
        yield Page(stream, told, n_packets)
        position = link.find(CAPTURE, end)


def end_of_page(data: bytes, start: int) -> int:
    """Where a page ends by its own table; behind the end of a file that ends within it."""
    if start + HEADER > len(data):
        return len(data) + 1
    n_segments = data[start + 26]
    table = data[start + HEADER : start + HEADER + n_segments]
    return start + HEADER + n_segments + sum(table) + (len(table) < n_segments)
