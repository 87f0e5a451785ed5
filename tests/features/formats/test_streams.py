"""OGG, FLAC, WAV and AU whose headers tell of another length than there is."""

import re
import struct
from itertools import pairwise

import numpy as np
import pytest
from sounds import RATE, claiming, encode, tone

from genre_mlflow.errors import DataError
from genre_mlflow.features.audio import decode
from genre_mlflow.features.formats import flac, ogg
from genre_mlflow.features.formats.kinds import kind_of

SOUND = tone(3.0)
CRC = 0x04C11DB7  # polynomial of the checksum of an OGG page
WAV, AU, FLAC = encode(SOUND), encode(SOUND, "AU"), encode(SOUND, "FLAC")


def ogg_pages(data: bytes) -> list[bytes]:
    starts = [*(found.start() for found in re.finditer(b"OggS\0", data)), len(data)]
    return [data[start:end] for start, end in pairwise(starts)]


def position(page: bytes) -> int:
    return int.from_bytes(page[6:14], "little")


def at(page: bytes, position: int) -> bytes:
    """A page at another position, with its checksum."""
    told = page[:6] + position.to_bytes(8, "little") + page[14:22] + bytes(4) + page[26:]
    crc = 0
    for byte in told:
        crc ^= byte << 24
        for _ in range(8):
            crc = crc << 1 ^ CRC if crc >> 31 else crc << 1
            crc &= 0xFFFFFFFF
    return told[:22] + crc.to_bytes(4, "little") + told[26:]


def wav(riff_size: int, data_size: int, tail: bytes = b"") -> bytes:
    sizes = struct.pack("<I", riff_size), struct.pack("<I", data_size)
    return WAV[:4] + sizes[0] + WAV[8:40] + sizes[1] + WAV[44:] + tail


RIGHT = (len(WAV) - 8, len(WAV) - 44)


@pytest.mark.parametrize(
    "data",
    [
        wav(0, 0), wav(RIGHT[0], 0), wav(0x7FFFF024, 0x7FFFF000), wav(0x80000024, 0x80000000),
        wav(0xFFFFFFFF, 0xFFFFFFFF), wav(0x7FFFFFFF, 0x7FFFFFFF), wav(0, RIGHT[1]),
        wav(1_000_000, RIGHT[1]), wav(36, RIGHT[1]), wav(*RIGHT, b"LIST\x04\0\0\0INFO"),
        wav(*RIGHT, bytes(9999)), wav(*RIGHT, b"TAG" + bytes(125)),
        AU[:8] + b"\xff\xff\xff\xff" + AU[12:], AU[:8] + bytes(4) + AU[12:],
        claiming(FLAC, 0), claiming(FLAC, 1), b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + FLAC,
    ],
)  # fmt: skip
def test_all_of_it_is_read(data):
    np.testing.assert_array_equal(decode(data), SOUND)


def test_an_empty_wav_is_empty():
    data = encode(np.zeros(0))
    with pytest.raises(DataError, match=r"^lasts 0\.00 s; at least 1 s are needed$"):
        decode(data + b"LIST\x04\0\0\0INFO")


@pytest.mark.parametrize("data", [
    wav(RIGHT[0], RIGHT[1] // 3), AU[:8] + (len(SOUND)).to_bytes(4) + AU[12:],
])  # fmt: skip
def test_sound_behind_the_end_that_a_header_tells_of_is_named(data):
    with pytest.raises(DataError, match=r"^goes on for [\d,]+ bytes behind the end of the sound"):
        decode(data)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_links_of_a_chained_ogg_are_one_recording(subtype):
    rate = 48_000 if subtype == "OPUS" else RATE
    first, second = (encode(tone(s, 300 * s, rate), "OGG", subtype, rate) for s in (3.0, 2.0))
    assert [len(link) for link in ogg.links(first + second)] == [len(first), len(second)]
    whole = decode(first + second, rate)
    assert abs(len(whole) - 5 * rate) <= 0.01 * rate
    np.testing.assert_allclose(whole[-rate:], decode(second, rate)[-rate:], atol=1e-4)


@pytest.mark.parametrize("kind", ["OGG", "FLAC"])
def test_chained_files_of_two_rates_are_named(kind):
    data = encode(SOUND, kind) + encode(tone(2, rate=44_100), kind, rate=44_100)
    with pytest.raises(
        DataError, match=rf"^is a chained {kind} whose parts have 22,050 and 44,100 Hz"
    ):
        decode(data)


@pytest.mark.parametrize("tail", [b"", b"TAG" + bytes(125)])
def test_flacs_that_were_joined_are_one_recording(tail):
    whole = decode(FLAC + tail + claiming(FLAC, 0) + claiming(FLAC, 1))
    np.testing.assert_array_equal(whole, np.tile(SOUND, 3))


@pytest.mark.parametrize("n_files", [1, 2])
def test_the_head_of_a_flac_within_the_metadata_of_one_is_none(n_files):
    held = b"\x02" + len(FLAC).to_bytes(3) + FLAC  # a block of some application
    data = FLAC[:4] + b"\0" + FLAC[5:42] + held + FLAC[42:]
    assert flac.links(n_files * data) == n_files * [data]
    np.testing.assert_array_equal(decode(n_files * data), np.tile(SOUND, n_files))


PAGES = ogg_pages(OGG := encode(SOUND, "OGG", "VORBIS"))
LENGTH = len(SOUND)


@pytest.mark.parametrize("position", [0, LENGTH // 3, (1 << 64) - 1])
def test_a_last_page_that_tells_a_wrong_position_is_named(position):
    data = b"".join([*PAGES[:-1], at(PAGES[-1], position)])
    with pytest.raises(DataError, match=r"^is damaged: the last page of its OGG stream"):
        decode(data)


def test_an_ogg_without_any_position_is_named():
    data = b"".join(at(page, (1 << 64) - 1) if position(page) else page for page in PAGES)
    with pytest.raises(DataError, match=r"^is damaged: the last page of its OGG stream"):
        decode(data)


def test_a_stream_that_is_not_counted_from_its_start_is_named():
    started = [at(page, told + 10**7) if (told := position(page)) else page for page in PAGES]
    with pytest.raises(DataError, match=r"^begins at sample 1\d,\d{3},\d{3} by its OGG pages, as"):
        decode(b"".join(started))
    assert b"".join(at(page, position(page)) for page in PAGES) == OGG


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_an_ogg_that_ends_within_a_page_is_truncated(share):
    data = encode(SOUND, "OGG", "VORBIS")
    with pytest.raises(DataError, match=r"^is truncated: it ends within a page"):
        decode(data[: int(share * len(data))])


@pytest.mark.parametrize("size", [192, 576, 4096, 5000])
@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_the_last_frame_of_a_flac_tells_its_length(size, seconds):
    data = encode(tone(seconds)[: round(seconds * RATE) - size], "FLAC")
    assert flac.samples_in(data) == round(seconds * RATE) - size


def test_what_is_in_a_file_decides_what_it_is():
    kinds = {"WAV": WAV, "AU": AU, "FLAC": FLAC, "MP3": encode(SOUND, "MP3")}
    kinds |= {"OGG": encode(SOUND, "OGG", "VORBIS")}
    for kind, data in kinds.items():
        assert kind_of(data) == kind
    for data in (b"", b"RIFF", b"RIFF____AVI ", b"\x89PNG" + WAV, b"\xff\xd8\xff\xe0" + bytes(99)):
        assert kind_of(data) == ""
