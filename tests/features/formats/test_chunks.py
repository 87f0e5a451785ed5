"""AIFF, CAF, W64 and RF64 are read whole, whatever sizes their headers tell of."""

import struct

import numpy as np
import pytest
from sounds import encode, tone

from genre_mlflow.errors import DataError
from genre_mlflow.features.audio import decode, digest_of
from genre_mlflow.features.formats.kinds import kind_of

SOUND = tone(3.0)
FILES = {kind: encode(SOUND, kind) for kind in ("AIFF", "CAF", "W64", "RF64")}
KINDS = {"RF64": "WAV"}
SIZE = {  # of the sound: where it stands, from the name of its chunk on, and how
    "AIFF": (b"SSND", 4, ">I"), "CAF": (b"data", 4, ">q"), "W64": (b"data\xf3", 16, "<q"),
    "RF64": (b"ds64", 16, "<q"),
}  # fmt: skip
WHOLE = [(0, "AIFF"), (0x7FFFFFFF, "AIFF"), (0xFFFFFFFF, "AIFF"), (-1, "CAF"), (0, "CAF"),
         (1 << 62, "CAF"), (24, "W64"), (-1, "W64"), ((1 << 63) - 1, "W64"),
         (0, "RF64"), (-1, "RF64")]  # fmt: skip


def telling(kind: str, size: int) -> bytes:
    """A file whose header tells another size of its sound."""
    name, offset, form = SIZE[kind]
    data = bytearray(FILES[kind])
    struct.pack_into(form, data, data.index(name) + offset, size)
    return bytes(data)


@pytest.mark.parametrize("kind", FILES)
def test_a_whole_file_is_read_and_is_the_same_sound_as_a_wav(kind):
    assert kind_of(FILES[kind]) == KINDS.get(kind, kind)
    np.testing.assert_array_equal(decode(FILES[kind]), SOUND)
    assert digest_of(FILES[kind]) == digest_of(encode(SOUND))


@pytest.mark.parametrize(("kind", "subtype"), [
    ("AIFF", "PCM_24"), ("AIFF", "FLOAT"), ("AIFF", "ULAW"), ("CAF", "FLOAT"), ("CAF", "ALAW"),
    ("W64", "PCM_24"),
])  # fmt: skip
def test_any_coding_that_libsndfile_knows_is_read(kind, subtype):
    found = decode(encode(SOUND, kind, subtype))
    np.testing.assert_allclose(found, SOUND, atol=2e-2 if subtype.endswith("LAW") else 1e-4)


@pytest.mark.parametrize(("size", "kind"), WHOLE)
def test_all_of_it_is_read_where_the_size_was_not_known(size, kind):
    data = telling(kind, size)
    assert data != FILES[kind]
    np.testing.assert_array_equal(decode(data), SOUND)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_ends_too_soon_is_truncated(kind):
    data = FILES[kind]
    with pytest.raises(DataError, match=rf"^is truncated: 70,000 bytes of the {len(data):,} that"):
        decode(data[:70_000])


@pytest.mark.parametrize("kind", FILES)
def test_sound_behind_the_end_that_a_header_tells_of_is_named(kind):
    with pytest.raises(DataError, match=r"^goes on for [\d,]+ bytes behind the end of the sound"):
        decode(telling(kind, 40_000))


@pytest.mark.parametrize("kind", FILES)
def test_files_that_were_joined_are_named(kind):
    with pytest.raises(DataError, match=r"^goes on for [\d,]+ bytes behind the end of the sound"):
        decode(FILES[kind] + FILES[kind])


@pytest.mark.parametrize("kind", FILES)
def test_what_players_append_is_no_sound(kind):
    for tail in (bytes(9999), b"TAG" + bytes(9999)):
        np.testing.assert_array_equal(decode(FILES[kind] + tail), SOUND)
