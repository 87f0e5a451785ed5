"""FLAC: how many samples its frames hold, whatever its header tells (RFC 9639)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

TOTAL = slice(21, 26)  # bytes of the number of samples, of which 36 bits count
STREAM_INFO = slice(8, 42)
MARK = b"fLaC"
HEAD = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # of a file: the block STREAMINFO follows
SYNC = re.compile(rb"\xff[\xf8\xf9]")  # of a frame, in streams of one block size and of many
TAIL = 1 << 22  # bytes at the end that hold the last two frames, of any size in use
PIECE = 1 << 15  # bytes searched at a time, from the end
BLOCK_SIZES = {
    1: 192,
    **{n: 576 << n - 2 for n in range(2, 6)},
    **{n: 1 << n for n in range(8, 16)},
}
POLYNOMIAL = 0x07  # of the checksum of a frame's header


@dataclass(frozen=True)
class Frame:
    """First sample of a frame, and the one behind its last."""

    start: int
    end: int


def links(data: bytes) -> list[bytes]:
    """The file cut where another one was joined to it; mostly one piece."""
    starts = [0]
    while found := HEAD.search(data, end_of_blocks(data, starts[-1])):
        starts.append(found.start())
    return [data[start:end] for start, end in pairwise([*starts, len(data)])]


def end_of_blocks(data: bytes, start: int) -> int:
    """Behind the last block of metadata, among which anything may be, another file, too."""
    position, is_last = start + len(MARK), False
    while not is_last and position + 4 <= len(data):
        is_last = bool(data[position] & 0x80)
        position += 4 + int.from_bytes(data[position + 1 : position + 4])
    return position


def mended(data: bytes) -> bytes:
    """The file with the number of samples that its last frame ends with, if that is more.

    A stream that was written to a pipe tells of none at all.
    """
    if len(data) < STREAM_INFO.stop:
        return data
    told = int.from_bytes(data[TOTAL]) & (1 << 36) - 1
    found = samples_in(data)
    if found <= told:
        return data
    high = data[TOTAL.start] & 0xF0
    total = (high << 32 | found).to_bytes(5)
    return data[: TOTAL.start] + total + data[TOTAL.stop :]


def samples_in(data: bytes) -> int:
    """The end of the last frame that follows on another; 0 where none is found."""
    later: dict[int, int] = {}  # ends of frames, by their starts
    for position in places_from_the_end(data):
        frame = read_frame(data, position)
        if frame is None:
            continue
        if frame.end in later:
            return later[frame.end]
        if frame.start == 0:
            return frame.end
        later[frame.start] = frame.end
    return 0


def places_from_the_end(data: bytes) -> Iterator[int]:
    """Where the header of a frame may be, the last one first; mostly two are looked at."""
    first = max(STREAM_INFO.stop, len(data) - TAIL)
    for end in range(len(data), first, -PIECE):
        # A mark that begins with the last byte of a piece ends behind it.
        places = SYNC.finditer(data, max(first, end - PIECE), end + 1)
        yield from reversed([found.start() for found in places if found.start() < end])


def read_frame(data: bytes, position: int) -> Frame | None:
    """A frame by its header; None where the letters are no header."""
    head = data[position : position + 16]
    if len(head) < 6 or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] >> 4 > 10 or head[3] & 1:
        return None
    number = read_number(head[4:])
    if number is None:
        return None
    value, length = number
    after = 4 + length
    code = head[2] >> 4
    n_bytes = {6: 1, 7: 2}.get(code, 0)
    size = BLOCK_SIZES.get(code) or 1 + int.from_bytes(head[after : after + n_bytes])
    after += n_bytes + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if after >= len(head) or checksum(head[:after]) != head[after]:
        return None
    fixed = int.from_bytes(data[10:12])  # the largest block of the stream
    start = value if head[1] & 1 else value * fixed
    return Frame(start, start + size)


def read_number(coded: bytes) -> tuple[int, int] | None:
    """A number coded as UTF-8 codes letters, up to seven bytes, and how many it takes."""
    ones = 8 - (coded[0] ^ 0xFF).bit_length()
    if ones == 0:
        return coded[0], 1
    if ones == 1 or ones > 7 or len(coded) < ones:
        return None
    value = coded[0] & (0x7F >> ones)
    for byte in coded[1:ones]:
        if byte >> 6 != 2:
            return None
        value = value << 6 | byte & 0x3F
    return value, ones


def checksum(head: bytes) -> int:
    """CRC-8 of a frame's header."""
    crc = 0
    for byte in head:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ POLYNOMIAL if crc & 0x80 else crc << 1) & 0xFF
    return crc
