"""MPEG audio, frame by frame: how much there is, whatever a tag says (ISO/IEC 11172-3, 13818-3).

A Xing, Info or VBRI tag is a frame of its own, in front, with the number of frames; where there is
none, libmpg123 guesses from the size of the file and the first frames, wrongly for a changing bit
rate. Here the frames are counted by their headers, and a tag with the right number is put in front.
"""

import re
import struct
from dataclasses import dataclass, field
from functools import cache

from genre_mlflow.errors import DataError

BIT_RATES = {  # kbit/s by index 1 to 14: of MPEG 1, layers I, II and III; of MPEG 2, I, II and III
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44_100, 48_000, 32_000)  # Hz, of MPEG 1; MPEG 2 has half of it, MPEG 2.5 a quarter
MPEG_2_5, RESERVED, MPEG_2, MPEG_1 = range(4)  # the two bits of the version
SAMPLES = {(1, 1): 384, (2, 1): 384, (1, 2): 1152, (2, 2): 1152, (1, 3): 1152, (2, 3): 576}
SAME = 0xFE0C  # of the second and third byte: what all frames of a stream share
MONO = 0xC0  # of the fourth byte
HEADER = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x10-\xef]", re.DOTALL)
FIELD = re.compile(rb"[A-Z][A-Z0-9]{2,3}")  # the name of one in an ID3v2 tag
SOMETHING = re.compile(rb"[^\0]")
LONGEST_FRAME = 1 << 13  # bytes, of a free format
CHAIN = 4  # frames that must follow one another before letters are taken for sound
TAGS = (b"TAG", b"APE", b"ID3", b"LYR")  # what may follow the last frame
FIELDS = (4, 4, 100, 4)  # bytes of a Xing tag's fields, by the bits of its flags
ENCODER = 24  # bytes of the notes that LAME and others write behind them
MISSING_S = 0.1


@dataclass(frozen=True)
class Tag:
    """What a tag tells: how many frames there are, 0 if it does not, and the encoder's notes.

    Of those, the last three bytes are two numbers of 12 bits: samples to leave out at both ends.
    """

    count: int
    encoder: bytes = b""


@dataclass
class Frames:
    """The frames of a file: where they lie, without the tag's, and what they have in common."""

    start: int  # of the first one
    header: bytes  # and its four bytes
    tag: Tag | None = None
    count: int = 0
    spans: list[tuple[int, int]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long the frames last."""
        return self.count * samples_a_frame(self.header) / rate_of(self.header)


def after_tags(data: bytes) -> int:
    """Where the ID3v2 tags in front end; 0 without one."""
    start = 0
    while data[start : start + 3] == b"ID3" and len(data) >= start + 10:
        start = end_of_tag(data, start)
    return start


def end_of_tag(data: bytes, start: int) -> int:
    """Where an ID3v2 tag ends by its header; where sound follows its fields before that, there."""
    a, b, c, d = (byte & 0x7F for byte in data[start + 6 : start + 10])
    footer = 10 if data[start + 5] & 0x10 else 0
    told = start + 10 + (a << 21 | b << 14 | c << 7 | d) + footer
    sound = SOMETHING.search(data, end_of_fields(data, start + 10, data[start + 3]))
    if sound and sound.start() < told and chain(data, sound.start()) == CHAIN:
        return sound.start()
    return told


def end_of_fields(data: bytes, start: int, version: int) -> int:
    """Where the fields of an ID3v2 tag end, and its padding begins."""
    letters, digits, flags = (3, 3, 0) if version == 2 else (4, 4, 2)
    while FIELD.fullmatch(data, start, start + letters):
        sizes = data[start + letters : start + letters + digits]
        bits = 7 if version == 4 else 8  # of a byte that count
        size = sum(byte << bits * place for place, byte in enumerate(reversed(sizes)))
        start += letters + digits + flags + size
    return start


def version_and_layer(second: int) -> tuple[int, int]:
    """1 for MPEG 1 and 2 for 2 and 2.5, and the layer; the layer is 0 for what is no header."""
    version, layer = second >> 3 & 3, second >> 1 & 3
    if second & 0xE0 != 0xE0 or version == RESERVED or layer == 0:
        return 0, 0
    return (1 if version == MPEG_1 else 2), 4 - layer


def rate_of(header: bytes) -> int:
    """Sample rate in Hz."""
    version = header[1] >> 3 & 3
    rate = RATES[header[2] >> 2 & 3]
    return rate if version == MPEG_1 else rate // 2 if version == MPEG_2 else rate // 4


def samples_a_frame(header: bytes) -> int:
    """Samples of each channel."""
    return SAMPLES[version_and_layer(header[1])]


def channels_of(header: bytes) -> int:
    """One or two."""
    return 1 if header[3] >= MONO else 2


@cache
def lengths() -> list[int]:
    """Bytes of a frame by the second and third byte of its header; 0 for what is no header."""
    return [length_of(key >> 8, key & 0xFF) for key in range(1 << 16)]


def length_of(second: int, third: int) -> int:
    """Bytes of a frame, 0 for what is no header or has a rate of its own (free format)."""
    version, layer = version_and_layer(second)
    bit_rate, rate, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if not layer or bit_rate in (0, 15) or rate == 3:
        return 0
    bits_a_second = 1000 * BIT_RATES[version, layer][bit_rate - 1]
    hz = rate_of(bytes([0xFF, second, third, 0]))
    slot = 4 if layer == 1 else 1
    return (SAMPLES[version, layer] // 8 * bits_a_second // hz // slot + padding) * slot


def find_first(data: bytes, start: int = 0) -> int | None:
    """Where frames begin that follow one another; None where there are none."""
    for found in HEADER.finditer(data, start):
        if chain(data, found.start()) >= CHAIN:
            return found.start()
    return None


def chain(data: bytes, start: int, limit: int = CHAIN) -> int:
    """How many whole frames follow one another, up to `limit`; `limit` too if nothing follows."""
    first, position = data[start : start + 4], start
    for n in range(limit):
        header = data[position : position + 4]
        if n and (len(header) < 4 or data[position : position + 3] in TAGS):
            return limit
        length = lengths()[header[1] << 8 | header[2]] if len(header) == 4 else 0
        if not length or header[0] != 0xFF or not alike(first, header):
            return n
        position += length
        if position > len(data):  # cut off within the frame
            return limit if n else 0
    return limit


def is_free_format(data: bytes, start: int) -> bool:
    """Whether frames of a bit rate that is in no table begin here: alike, at even distances."""
    first = data[start : start + 4]
    if len(first) < 4 or first[0] != 0xFF or not version_and_layer(first[1])[0] or first[2] >> 4:
        return False
    second = data.find(first[:2], start + 4, start + LONGEST_FRAME)
    while second != -1:
        third = 2 * second - start  # or a byte before or behind, for padding
        headers = [data[at : at + 4] for at in (second, third - 1, third, third + 1)]
        is_alike = [len(h) == 4 and h[:2] == first[:2] and alike(first, h) for h in headers]
        if is_alike[0] and any(is_alike[1:]):
            return True
        second = data.find(first[:2], second + 1, start + LONGEST_FRAME)
    return False


def alike(one: bytes, other: bytes) -> bool:
    """Whether two headers have the version, layer, sample rate and channels in common."""
    difference = (one[1] ^ other[1]) << 8 | (one[2] ^ other[2])
    return not difference & SAME and (one[3] >= MONO) == (other[3] >= MONO)


def walk(data: bytes) -> Frames | None:
    """All frames of a file, passing over tags and whatever else lies between; None without any.

    Raises `DataError` where the sound goes on in another form.
    """
    start = find_first(data)
    if start is None:
        return None
    frames = Frames(start, data[start : start + 4], read_tag(data, start))
    if frames.tag:
        start += length_of(data[start + 1], data[start + 2])
    position: int | None = start
    while position is not None:
        end, count = run(data, position, frames.header)
        if count:
            frames.spans.append((position, end))
            frames.count += count
        position = next_run(data, end, frames)
    return frames


def run(data: bytes, start: int, first: bytes) -> tuple[int, int]:
    """Where the frames that follow one another from `start` on end, and how many there are."""
    table, size = lengths(), len(data)
    same, mono = (first[1] << 8 | first[2]) & SAME, first[3] >= MONO
    position, count = start, 0
    while position + 4 <= size and data[position] == 0xFF:
        key = data[position + 1] << 8 | data[position + 2]
        length = table[key]
        if not length or key & SAME != same or (data[position + 3] >= MONO) != mono:
            break
        if position + length > size:
            break  # cut off within a frame
        position += length
        count += 1
    return position, count


def next_run(data: bytes, start: int, frames: Frames) -> int | None:
    """Where the sound goes on behind something else; None at the end of the file."""
    position = start
    while position < len(data):
        if data[position : position + 3] == b"ID3":
            position += after_tags(data[position:])
        found = find_first(data, position)
        if found is None:
            return None
        if alike(data[found : found + 4], frames.header):
            return found
        if chain(data, found, 8 * CHAIN) == 8 * CHAIN:  # no letters that look alike by chance
            raise DataError(
                f"goes on in another form after {frames.seconds:.1f} s "
                f"({form(frames.header)}, then {form(data[found : found + 4])}), as files that "
                "were joined do; split it, or encode it anew"
            )
        position = found + 1
    return None


def form(header: bytes) -> str:
    """Sample rate and channels in words."""
    return f"{rate_of(header):,} Hz with {channels_of(header)} channels"


def read_tag(data: bytes, start: int) -> Tag | None:
    """The tag in the first frame, which holds no sound then; None without one.

    VBRI's place is fixed; Xing's follows the side information.
    """
    frame = data[start : start + length_of(data[start + 1], data[start + 2])]
    if frame[36:40] == b"VBRI":
        return Tag(int.from_bytes(frame[50:54]))
    at = 4 + side_information(frame)
    for offset in (at, at + 2):  # with a checksum behind the header, or without
        if frame[offset : offset + 4] in (b"Xing", b"Info"):
            flags = int.from_bytes(frame[offset + 4 : offset + 8])
            count = int.from_bytes(frame[offset + 8 : offset + 12]) if flags & 1 else 0
            fields = sum(size for bit, size in enumerate(FIELDS) if flags >> bit & 1)
            encoder = frame[offset + 8 + fields :][:ENCODER]
            return Tag(count, encoder if encoder.strip(b"\0") else b"")
    return None


def side_information(header: bytes) -> int:
    """Bytes of side information in a frame of layer III."""
    mpeg_1, mono = version_and_layer(header[1])[0] == 1, header[3] >= MONO
    return (17 if mono else 32) if mpeg_1 else (9 if mono else 17)


def mended(data: bytes) -> bytes:
    """The file as it is where its tag is right, else its frames behind a tag that is.

    Raises `DataError` for a file that lacks what its tag tells of.
    """
    frames = walk(data)
    if frames is None:
        return data  # of a free format, whose length libmpg123 measures by itself
    a_second = rate_of(frames.header) / samples_a_frame(frames.header)
    told = frames.tag.count if frames.tag else 0
    if told - frames.count > MISSING_S * a_second:
        raise DataError(
            f"is truncated: {frames.seconds:.1f} s of the {told / a_second:.1f} s in its header"
        )
    if told == frames.count and len(frames.spans) == 1:
        return data[frames.start :]
    sound = b"".join(data[start:end] for start, end in frames.spans)
    if version_and_layer(frames.header[1])[1] != 3:
        return sound  # there is no tag for layers I and II
    return info_frame(frames) + sound


def info_frame(frames: Frames) -> bytes:
    """A frame with an Info tag that tells the number of frames behind it, as short as it may be.

    Of the encoder's notes it keeps the samples to leave out in front; the end is another one.
    """
    header, notes = frames.header, frames.tag.encoder if frames.tag else b""
    if len(notes) == ENCODER:
        notes = notes[:-2] + bytes([notes[-2] & 0xF0, 0])
    tag = b"Info" + struct.pack(">II", 1, frames.count) + notes
    second, offset = header[1] | 1, 4 + side_information(header)  # no checksum
    for bit_rate in range(1, 15):
        third = bit_rate << 4 | header[2] & 0x0C  # no padding
        length = length_of(second, third)
        if length >= offset + len(tag):
            break
    head = bytes([0xFF, second, third, header[3]])
    return (head.ljust(offset, b"\0") + tag).ljust(length, b"\0")
