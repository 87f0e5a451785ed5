"""Files made of chunks (WAV, AIFF, CAF, W64): where the sound lies, and how much there is of it.

A recorder that died leaves a size of 0, one that writes to a pipe the largest that it has.
"""

import struct
from dataclasses import dataclass

from genre_mlflow.errors import DataError

UNKNOWN = 0x7FFF0000  # bytes; sizes of 32 bits from here on stand for one that was not known
MISSING_BYTES = 4096  # a header may count padding, or itself
TAGS = (b"ID3", b"TAG", b"APE", b"id3")  # what players append without a chunk of its own


@dataclass(frozen=True)
class Layout:
    """How a format lays out its chunks."""

    first: int  # where the first chunk begins
    head: str  # name and size, as `struct` reads them
    sound: bytes  # name of the chunk with the sound
    counts_head: bool = False  # whether a size counts the name and itself
    align: int = 2  # bytes; a chunk begins at a multiple of them, counted from the first one
    unknown: int = UNKNOWN  # sizes from here on, and those below zero, were not known
    is_last: bool = False  # whether libsndfile takes all that follows for sound

    @property
    def head_size(self) -> int:
        """Bytes before the content of a chunk."""
        return struct.calcsize(self.head)


WAV = Layout(12, "<4sI", b"data")
RF64 = Layout(12, "<4sI", b"data", unknown=1 << 60)  # sizes of 64 bits stand in front of all
AIFF = Layout(12, ">4sI", b"SSND")
CAF = Layout(8, ">4sq", b"data", align=1, unknown=1 << 60)
W64 = Layout(
    40, "<16sq", b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a",
    counts_head=True, align=8, unknown=1 << 60, is_last=True,
)  # fmt: skip


def mended(data: bytes, layout: Layout) -> bytes:
    """The file with the size of its sound that it has, where its header tells of another.

    The same object if the header is right. Raises `DataError` for a file that ends before its
    header says, and for one that goes on.
    """
    found = find(data, layout, layout.sound)
    if found is None:
        return data  # libsndfile says what is missing
    start, told = found
    size = size_of(data, layout, start, told)
    data = data if size == told else with_size(data, layout, start, size)
    return data[: start + size] if layout.is_last else data


def find(data: bytes, layout: Layout, name: bytes) -> tuple[int, int] | None:
    """Where the content of a chunk begins, and its size by its own header; None without it."""
    position = layout.first
    while position + layout.head_size <= len(data):
        found, start, size = read_head(data, layout, position)
        if found == name:
            return start, size
        position = end_of(layout, start, max(0, size))
    return None


def read_head(data: bytes, layout: Layout, position: int) -> tuple[bytes, int, int]:
    """Name of a chunk, where its content begins, and the size of that."""
    name, size = struct.unpack_from(layout.head, data, position)
    own = layout.head_size if layout.counts_head else 0
    return name, position + layout.head_size, size - own


def end_of(layout: Layout, start: int, size: int) -> int:
    """Where the next chunk begins."""
    return start + size + -(start + size - layout.first) % layout.align


def size_of(data: bytes, layout: Layout, start: int, told: int) -> int:
    """Bytes of sound that are there. Raises `DataError` where the header tells of others."""
    there = len(data) - start
    is_empty = told == 0 and is_chunks(data, layout, start)
    if told < 0 or told >= layout.unknown or (told == 0 and not is_empty):
        return there
    if told - there > MISSING_BYTES:
        raise DataError(
            f"is truncated: {len(data):,} bytes of the {start + told:,} that its header tells of"
        )
    size = min(told, there)
    check_end(data, layout, end_of(layout, start, size))
    return size


def is_chunks(data: bytes, layout: Layout, start: int) -> bool:
    """Whether the rest of a file is whole chunks without sound, or nothing."""
    position = start
    while position + layout.head_size <= len(data):
        name, content, size = read_head(data, layout, position)
        letters = name[:4]
        if size < 0 or not letters.isascii() or not letters.decode("ascii").isprintable():
            return False
        if name == layout.sound or letters == data[:4]:  # of a file that was joined to this one
            return False
        position = end_of(layout, content, size)
    return len(data) <= position < len(data) + layout.align


def check_end(data: bytes, layout: Layout, end: int) -> None:
    """Refuse sound behind the end that the header tells of."""
    rest = data[end:]
    known = rest.startswith(TAGS) or not rest.strip(b"\0") or is_chunks(data, layout, end)
    if len(rest) > MISSING_BYTES and not known:
        raise DataError(
            f"goes on for {len(rest):,} bytes behind the end of the sound that its header tells "
            "of; mend the header, or encode it anew"
        )


def with_size(data: bytes, layout: Layout, start: int, size: int) -> bytes:
    """The file with these bytes of sound."""
    head = start - layout.head_size
    told = size + (layout.head_size if layout.counts_head else 0)
    return data[:head] + struct.pack(layout.head, layout.sound, told) + data[start:]
