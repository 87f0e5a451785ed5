"""Matroska and WebM, element by element (RFC 8794, RFC 9559): how long their sound is."""

import struct
from collections.abc import Iterator

from genre_mlflow.errors import DataError

Element = tuple[int, int, int]  # number, start and end of the content

SEGMENT, INFO, TRACKS, CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
TIMESTAMP_SCALE, DURATION, TRACK, TRACK_TYPE = 0x2AD7B1, 0x4489, 0xAE, 0x83
VIDEO, SOUND = 1, 2  # types of tracks
MOST = 1_000_000  # elements beside one another
NANOSECONDS = 1_000_000  # of a unit of time, where a file does not say


def seconds_of(data: bytes) -> float:
    """Length by the header, 0 where that tells none, or tells that of a film.

    Raises `DataError` for a file that ends before its header says, or has no sound.
    """
    segment = next((e for e in elements(data, 0, len(data)) if e[0] == SEGMENT), None)
    if segment is None:
        return 0.0  # ffmpeg says what is missing
    if segment[2] > len(data):
        raise DataError(
            f"is truncated: {len(data):,} bytes of the {segment[2]:,} that its header tells of"
        )
    types: set[int] = set()
    seconds = 0.0
    for number, start, end in elements(data, *segment[1:]):
        if number == INFO:
            seconds = seconds_told(data, start, end)
        elif number == TRACKS:
            types = track_types(data, start, end)
        elif number == CLUSTER:
            break
    if types and SOUND not in types:
        raise DataError("holds no track of sound")
    return seconds if VIDEO not in types else 0.0


def elements(data: bytes, start: int, end: int) -> Iterator[Element]:
    """The elements that lie here one after the other; one of an unknown size goes to the end."""
    for _ in range(MOST):
        if start >= end:
            return
        number, position = read_number(data, start, marked=True)
        size, content = read_number(data, position)
        if not number or content > end:
            return
        is_unknown = size == (1 << 7 * (content - position)) - 1
        start = end if is_unknown else content + size
        yield number, content, start


def read_number(data: bytes, start: int, marked: bool = False) -> tuple[int, int]:
    """A number of one to eight bytes, of which the first tells how many; and where it ends.

    `marked`: the bit that tells it is part of the number.
    """
    first = data[start] if start < len(data) else 0
    length = 9 - first.bit_length()
    if length > 8:
        return 0, len(data) + 1
    value = int.from_bytes(data[start : start + length])
    return value if marked else value & (1 << 7 * length) - 1, start + length


def seconds_told(data: bytes, start: int, end: int) -> float:
    """The length in a segment's information."""
    scale, duration = NANOSECONDS, 0.0
    for number, content, stop in elements(data, start, end):
        if number == TIMESTAMP_SCALE:
            scale = int.from_bytes(data[content:stop])
        elif number == DURATION and stop - content in (4, 8):
            kind = ">f" if stop - content == 4 else ">d"
            duration = float(struct.unpack_from(kind, data, content)[0])
    return duration * scale / 1e9 if duration > 0 else 0.0  # NaN is not


def track_types(data: bytes, start: int, end: int) -> set[int]:
    """Of which kinds the tracks are."""
    return {
        int.from_bytes(data[content:stop])
        for number, track, track_end in elements(data, start, end)
        if number == TRACK
        for field, content, stop in elements(data, track, track_end)
        if field == TRACK_TYPE
    }
