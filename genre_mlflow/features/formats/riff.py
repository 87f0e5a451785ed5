"""WAV, RF64 and AU: the sound that is there where a header tells of another size."""

import struct

from genre_mlflow.errors import DataError
from genre_mlflow.features.formats.chunks import (
    MISSING_BYTES,
    RF64,
    UNKNOWN,
    WAV,
    find,
    size_of,
)

MAGIC = (b"RIFF", b"RF64")
NO_SIZE = 0xFFFFFFFF
SIZES = 20  # where the chunk with the 64-bit sizes of an RF64 has them: of the file, of the sound


def mended_wav(data: bytes) -> bytes:
    """The file with the sizes that it has, where its header tells of others.

    Raises `DataError` for a file that ends before its header says, and for one that goes on.
    """
    chunk = find(data, WAV, WAV.sound)
    if chunk is None:
        return data  # libsndfile says what is missing
    start, told = chunk
    if data[:4] == b"RF64" and told == NO_SIZE:
        return mended_rf64(data, start)
    size = size_of(data, WAV, start, told)
    sizes = struct.pack("<I", len(data) - 8), struct.pack("<I", size)
    if data[:4] == b"RF64" or (data[4:8], data[start - 4 : start]) == sizes:
        return data
    return data[:4] + sizes[0] + data[8 : start - 4] + sizes[1] + data[start:]


def mended_rf64(data: bytes, start: int) -> bytes:
    """The same of a WAV whose sizes have 64 bits, and stand in its first chunk."""
    if data[12:16] != b"ds64" or len(data) < SIZES + 16:
        return data
    told = int.from_bytes(data[SIZES + 8 : SIZES + 16], "little")
    size = size_of(data, RF64, start, told)
    if size == told:
        return data
    return data[:SIZES] + struct.pack("<QQ", len(data) - 8, size) + data[SIZES + 16 :]


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
