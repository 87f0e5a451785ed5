"""WAV and AU: the sound that is there where a header tells of another size.

A recorder that died leaves a size of 0, one that writes to a pipe the largest that it has.
"""

import struct

from genre_mlflow.errors import DataError

MAGIC = (b"RIFF", b"RF64")
UNKNOWN = 0x7FFF0000  # bytes; sizes from here on stand for one that was not known
MISSING_BYTES = 4096  # a header may count padding, or itself
TAGS = (b"ID3", b"TAG", b"APE", b"id3")  # what players append without a chunk of its own
NO_SIZE = 0xFFFFFFFF


def mended_wav(data: bytes) -> bytes:
    """The file with the sizes that it has, where its header tells of others.

    Raises `DataError` for a file that ends before its header says, and for one that goes on.
    """
    if data[:4] == b"RF64":
        return data  # its sizes stand elsewhere
    chunk = find_data(data)
    if chunk is None:
        return data  # libsndfile says what is missing
    start, told = chunk
    there = len(data) - start
    if told >= UNKNOWN or (told == 0 and not is_chunks(data, start)):
        return with_sizes(data, start, there)
    if told - there > MISSING_BYTES:
        raise DataError(
            f"is truncated: {len(data):,} bytes of the {start + told:,} that its header tells of"
        )
    size = min(told, there)
    check_end(data, start + size)
    return with_sizes(data, start, size)


def find_data(data: bytes) -> tuple[int, int] | None:
    """Where the sound begins, and its size by its own header; None without it."""
    position = 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        if name == b"data":
            return position + 8, size
        position += 8 + size + size % 2
    return None


def is_chunks(data: bytes, start: int) -> bool:
    """Whether the rest of a file is whole chunks, or nothing."""
    position = start
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        if not name.isascii() or not name.decode("ascii").isprintable():
            return False
        position += 8 + size + size % 2
    return len(data) <= position <= len(data) + 1


def check_end(data: bytes, end: int) -> None:
    """Refuse sound behind the end that the header tells of."""
    rest = data[end + end % 2 :]
    known = rest.startswith(TAGS) or not rest.strip(b"\0") or is_chunks(data, end + end % 2)
    if len(rest) > MISSING_BYTES and not known:
        raise DataError(
            f"goes on for {len(rest):,} bytes behind the end of the sound that its header tells "
            "of; mend the header, or encode it anew"
        )


def with_sizes(data: bytes, start: int, size: int) -> bytes:
    """The file with these bytes of sound; the same object if its header has it so."""
    sizes = struct.pack("<I", len(data) - 8), struct.pack("<I", size)
    if (data[4:8], data[start - 4 : start]) == sizes:
        return data
    return data[:4] + sizes[0] + data[8 : start - 4] + sizes[1] + data[start:]


def mended_au(data: bytes) -> bytes:
    """The same of an AU file, whose sizes are those of the header and of the sound."""
    if len(data) < 24:
        return data
    start, told = struct.unpack_from(">II", data, 4)
    there = len(data) - start
    if told not in (0, NO_SIZE) and told - there > MISSING_BYTES and told < UNKNOWN:
        raise DataError(
            f"is truncated: {len(data):,} bytes of the {start + told:,} that its header tells of"
        )
    if told not in (0, NO_SIZE) and there - told > MISSING_BYTES:
        raise DataError(
            f"goes on for {there - told:,} bytes behind the end of the sound that its header "
            "tells of; mend the header, or encode it anew"
        )
    return data[:8] + struct.pack(">I", max(0, there)) + data[12:]
