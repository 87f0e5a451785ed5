"""ISO's boxes, as M4A, MP4 and MOV have them (ISO/IEC 14496-12): how long their sound is."""

import struct
from collections.abc import Iterator

from genre_mlflow.errors import DataError
from genre_mlflow.features.formats.lengths import JOINED

Box = tuple[bytes, int, int]  # name, start and end of the content
NO_LENGTH = (0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
MOST = 1_000_000  # boxes beside one another
HOLDS = (b"mdat", b"moov", b"moof")  # boxes that a player cannot do without


def seconds_of(data: bytes) -> float:
    """Length of the first track of sound by its header, 0 where that tells none.

    Raises `DataError` for a file that ends within a box, has no index, two of them, or no sound.
    """
    movie = None
    for box in boxes(data, 0, len(data)):
        name, _, end = box
        if name in HOLDS and end > len(data):
            raise DataError(
                f"is truncated: {len(data):,} bytes of the {end:,} that its boxes tell of"
            )
        if name == b"moov":
            if movie:
                raise DataError(JOINED)
            movie = box
    if movie is None:
        raise DataError("is damaged or truncated: it has no index (the box moov)")
    scale, _ = scale_and_length(data, find(data, movie, b"mvhd"))
    for track in boxes(data, *movie[1:]):
        if track[0] == b"trak" and is_sound(data, track):
            return seconds_of_track(data, track, scale)
    raise DataError("holds no track of sound")


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """The boxes that lie here one after the other; the last one may end behind the file."""
    for _ in range(MOST):
        if start + 8 > end:
            return
        size, name = struct.unpack_from(">I4s", data, start)
        content = start + 8
        if size == 1 and start + 16 <= end:  # a size of 64 bits follows
            size, content = int.from_bytes(data[start + 8 : start + 16]), start + 16
        elif size == 0:  # up to the end
            size = end - start
        if size < content - start:
            return
        yield name, content, start + size
        start += size


def find(data: bytes, box: Box | None, *names: bytes) -> Box | None:
    """The box of these names, each within the one before; None where there is none."""
    for name in names:
        if box is None:
            return None
        within = boxes(data, box[1], min(box[2], len(data)))
        box = next((found for found in within if found[0] == name), None)
    return box


def is_sound(data: bytes, track: Box) -> bool:
    """Whether a track is one of sound."""
    handler = find(data, track, b"mdia", b"hdlr")
    return handler is not None and data[handler[1] + 8 : handler[1] + 12] == b"soun"


def seconds_of_track(data: bytes, track: Box, movie_scale: int) -> float:
    """Length of a track as it is played, by its edit list; else of all that it holds."""
    edits = find(data, track, b"edts", b"elst")
    if edits and movie_scale:
        played = sum(length for length, from_where in read_edits(data, edits) if from_where >= 0)
        if played:
            return played / movie_scale
    scale, length = scale_and_length(data, find(data, track, b"mdia", b"mdhd"))
    return length / scale if scale else 0.0


def read_edits(data: bytes, box: Box) -> Iterator[tuple[int, int]]:
    """Length of each part, in the movie's time, and where it begins in the track; -1: a pause."""
    start = box[1] + 8
    entry = ">Qq4x" if data[box[1]] == 1 else ">Ii4x"
    size = struct.calcsize(entry)
    while start + size <= min(box[2], len(data)):
        length, from_where = struct.unpack_from(entry, data, start)
        yield (0 if length in NO_LENGTH else length), from_where
        start += size


def scale_and_length(data: bytes, box: Box | None) -> tuple[int, int]:
    """Units a second, and how many, as the header of a movie or of a track has them; else 0."""
    if box is None or box[2] > len(data) or box[2] - box[1] < 20:
        return 0, 0
    times = ">4x8x8xIQ" if data[box[1]] == 1 else ">4x4x4xII"
    if box[2] - box[1] < struct.calcsize(times):
        return 0, 0
    scale, length = struct.unpack_from(times, data, box[1])
    return scale, 0 if length in NO_LENGTH else length
