"""How long a recording is by its own header, in formats that say so near their beginning."""

import struct

from genre_mlflow.errors import DataError
from genre_mlflow.features.formats import chunks, ogg

JOINED = "holds more than one file, as those have that were joined; split it, or encode it anew"
NO_NUMBER = 0xFFFFFFFF
PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # of an ASF file
SOUND = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")  # type of a stream of it
VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
BROADCAST = 1  # flag: nothing else in these properties is right
WAVPACK_RATES = (
    6000, 8000, 9600, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000,
    88_200, 96_000, 192_000,
)  # fmt: skip
WAVPACK_DSD = 1 << 31
WAVPACK_VERSION = 4  # of the stream, in its high byte
WAVPACK_FIRST = 1 << 11  # flag of the first block of several for as many channels
MUSEPACK_RATES = (44_100, 48_000, 37_800, 32_000)
APE_BLOCKS = 73_728  # samples in a frame of APE since version 3.9; four times as many since 3.95


def of_asf(data: bytes) -> float:
    """WMA. Raises `DataError` for a file that ends before its header says, or has no sound."""
    head = data[: 30 + int.from_bytes(data[16:24], "little")]
    start = head.find(PROPERTIES)
    if start < 0 or start + 104 > len(head):
        return 0.0
    size, _, _, played, _, preroll, flags = struct.unpack_from("<QQQQQQI", head, start + 40)
    if SOUND not in head:
        raise DataError("holds no track of sound")
    if flags & BROADCAST:
        return 0.0
    if size > len(data):
        raise DataError(
            f"is truncated: {len(data):,} bytes of the {size:,} that its header tells of"
        )
    return 0.0 if VIDEO in head else max(0.0, played / 1e7 - preroll / 1e3)


def of_wavpack(data: bytes) -> float:
    """The first block tells of all, unless it was written to a pipe.

    Raises `DataError` where the blocks begin again from the first sample.
    """
    if len(data) < 32:
        return 0.0
    if wavpack_beginnings(data) > 1:
        raise DataError(JOINED)
    total, _, _, flags = struct.unpack_from("<IIII", data, 12)
    rate = flags >> 23 & 15
    if total == NO_NUMBER or rate >= len(WAVPACK_RATES) or flags & WAVPACK_DSD:
        return 0.0
    return (total | data[11] << 32) / WAVPACK_RATES[rate]


def wavpack_beginnings(data: bytes) -> int:
    """How many blocks begin with the first sample, and hold some."""
    count, position = 0, 0
    while 0 <= position <= len(data) - 32:
        size, version, high, _, _, start, samples, flags = struct.unpack_from(
            "<IHBBIIII", data, position + 4
        )
        is_block = version >> 8 == WAVPACK_VERSION
        count += is_block and not (start or high) and samples > 0 and bool(flags & WAVPACK_FIRST)
        position = data.find(b"wvpk", position + (8 + size if is_block else 4))  # behind tags, too
    return count


def of_tta(data: bytes) -> float:
    """Samples and rate stand in a header of 22 bytes."""
    if len(data) < 22:
        return 0.0
    rate, total = struct.unpack_from("<II", data, 10)
    return total / rate if rate else 0.0


def of_ape(data: bytes) -> float:
    """The number of frames, which are of one size but for the last one."""
    version = int.from_bytes(data[4:6], "little")
    try:
        if version >= 3980:
            start = struct.unpack_from("<I", data, 8)[0]
            size, last, count, _, _, rate = struct.unpack_from("<IIIHHI", data, start + 4)
        else:
            level, _, _, rate, _, _, count, last = struct.unpack_from("<HHHIIIII", data, 6)
            is_long = version >= 3900 or (version >= 3800 and level >= 4000)
            size = 4 * APE_BLOCKS if version >= 3950 else APE_BLOCKS if is_long else 9216
    except struct.error:
        return 0.0
    return ((count - 1) * size + last) / rate if rate and count else 0.0


def of_musepack(data: bytes) -> float:
    """Version 7 counts frames, version 8 samples, in the first of its packets."""
    if len(data) < 32:
        return 0.0
    if data[:3] == b"MP+":
        rate = MUSEPACK_RATES[data[10] & 3]
        return max(0, int.from_bytes(data[4:8], "little") * 1152 - 576) / rate
    if data[4:6] != b"SH":
        return 0.0
    _, start = read_varied(data, 6)
    samples, position = read_varied(data, start + 5)  # behind a checksum and the version
    _, position = read_varied(data, position)
    rates = data[position] >> 5 if position < len(data) else len(MUSEPACK_RATES)
    return samples / MUSEPACK_RATES[rates] if rates < len(MUSEPACK_RATES) else 0.0


def read_varied(data: bytes, start: int) -> tuple[int, int]:
    """A number of seven bits a byte, of which all but the last have the eighth; and its end."""
    value = 0
    for position in range(start, min(start + 9, len(data))):
        value = value << 7 | data[position] & 0x7F
        if data[position] < 0x80:
            return value, position + 1
    return 0, len(data)


def of_caf(data: bytes) -> float:
    """The table of packets tells how many samples there are, for some with the last one's padding.

    Raises `DataError` for a file that ends before its header says.
    """
    chunks.mended(data, chunks.CAF)
    found = chunks.find(data, chunks.CAF, b"pakt")
    if found is None or len(data) < max(44, found[0] + 16):
        return 0.0
    rate, a_packet = struct.unpack_from(">d12xI", data, 20)
    valid = struct.unpack_from(">q", data, found[0] + 8)[0]
    return max(0.0, (valid - a_packet) / rate) if rate > 0 else 0.0


def of_ogg(data: bytes) -> float:
    """None is told. Raises `DataError` for a file that ends within a page."""
    ogg.links(data)
    return 0.0
