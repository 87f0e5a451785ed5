"""How long a recording is, by the headers of formats that ffmpeg reads and cannot always write."""

import struct

import pytest
from sounds import by_ffmpeg, tone

from genre_mlflow.errors import DataError
from genre_mlflow.features.audio import decode
from genre_mlflow.features.formats import ebml, iso, lengths
from genre_mlflow.features.formats.kinds import kind_of

RATE = 44_100


def silent_ape(told: int = 2 * RATE) -> bytes:
    """An APE of one frame, which is marked as silent."""
    frame = struct.pack("<II", 1 << 31, 3) + bytes(16)  # the checksum's first bit: flags follow
    table = struct.pack("<I", 80)
    head = struct.pack("<4sHHIIIIIII16s", b"MAC ", 3990, 0, 52, 24, len(table), 0, len(frame),
                       0, 0, bytes(16))  # fmt: skip
    return head + struct.pack("<HHIIIHHI", 1000, 32, 294_912, told, 1, 16, 1, RATE) + table + frame


def test_an_ape_is_decoded():
    by_ffmpeg(tone(0.1), "x.wav")  # or skip
    assert kind_of(silent_ape()) == "APE"
    with pytest.raises(DataError, match=r"^is silent throughout \(2\.0 s\)$"):
        decode(silent_ape())


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (silent_ape(), 2.0),
        (struct.pack("<4sHHHHIIIII", b"MAC ", 3970, 2000, 0, 2, RATE, 0, 0, 3, 100),
         (2 * 4 * 73_728 + 100) / RATE),
        (struct.pack("<4sHHHHIIIII", b"MAC ", 3920, 2000, 0, 2, RATE, 0, 0, 3, 100),
         (2 * 73_728 + 100) / RATE),
        (b"MAC \x96\x0f", 0.0),
    ],
)  # fmt: skip
def test_an_ape_tells_its_frames(data, seconds):
    assert lengths.of_ape(data) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (b"MP+\x07" + struct.pack("<IHH", 100, 0, 0x0101) + bytes(30), (115_200 - 576) / 48_000),
        (b"MPCKSH\x0f" + bytes(4) + b"\x08\x82\x80\x00\x00\x40" + bytes(30), 32_768 / 37_800),
        (b"MPCKRG" + bytes(40), 0.0), (b"MPCK", 0.0),
        (b"MPCKSH\x0f" + bytes(4) + b"\x08" + b"\xff" * 40, 0.0),
    ],
)  # fmt: skip
def test_a_musepack_tells_its_samples(data, seconds):
    assert kind_of(data) == "Musepack"
    assert lengths.of_musepack(data) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "read", [iso.seconds_of, ebml.seconds_of, lengths.of_asf, lengths.of_wavpack, lengths.of_tta,
             lengths.of_ape, lengths.of_musepack, lengths.of_caf],
)  # fmt: skip
@pytest.mark.parametrize("name", ["x.m4a", "x.mka", "x.wma", "x.wv", "x.tta", "x.caf"])
def test_no_header_that_is_cut_anywhere_or_another_one_is_more_than_an_error(read, name):
    data = by_ffmpeg(tone(0.2), name, *(("-c:a", "alac") if name == "x.caf" else ()))
    for end in [*range(0, 400, 3), len(data) - 1, len(data)]:
        for piece in (data[:end], b"\xff" * 8 + data[8:end], data[: end // 2] + b"\xff" * 64):
            try:
                assert read(piece) >= 0
            except DataError as error:
                assert "truncated" in str(error) or "no track" in str(error)
