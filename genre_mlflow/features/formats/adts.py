"""AAC as a stream of frames with headers of their own, ADTS (ISO/IEC 13818-7)."""

import re

HEADER = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]")  # the layer is 0, which MPEG audio never has
SHORTEST = 7  # bytes of a header
CHAIN = 4  # frames that must follow one another before letters are taken for sound
SEARCHED = 1 << 13  # bytes, as long as a frame may be: a stream that was cut begins within them
RATES = 13  # indices of sample rates that stand for one


def begins(data: bytes, start: int) -> bool:
    """Whether frames that follow one another begin here, up to the end or `CHAIN` of them."""
    first, position, count = data[start : start + 4], start, 0
    while count < CHAIN and position + SHORTEST <= len(data):
        header = data[position : position + SHORTEST]
        size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
        is_frame = HEADER.match(header) and size >= SHORTEST and header[2] >> 2 & 15 < RATES
        if not is_frame or not alike(first, header):
            return False
        position += size
        count += 1
    return count == CHAIN or (count > 1 and position == len(data))


def alike(one: bytes, other: bytes) -> bool:
    """Whether two headers have the version, profile, sample rate and channels in common."""
    return one[1:3] == other[1:3] and one[3] & 0xC0 == other[3] & 0xC0


def find_first(data: bytes, start: int) -> int | None:
    """Where frames begin; None where none do within `SEARCHED` bytes."""
    for found in HEADER.finditer(data, start, start + SEARCHED):
        if begins(data, found.start()):
            return found.start()
    return None
