"""How much sound an MP3 holds, whatever its tag says."""

import shutil
import subprocess
from pathlib import Path

import pytest
from sounds import RATE, encode, tone

from genre_mlflow.errors import DataError
from genre_mlflow.features.audio import decode, is_recording
from genre_mlflow.features.formats import mpeg

SPF = 576  # samples of a frame at 22,050 Hz
WHOLE = encode(tone(4.0, 300.0), "MP3")  # a changing bit rate, with a Xing tag
OTHER = encode(tone(2.0, 700.0, seed=1), "MP3")
TAG = mpeg.length_of(WHOLE[1], WHOLE[2])  # bytes of the frame that holds it
NUMBER = slice(TAG_AT := WHOLE.index(b"Xing") + 8, TAG_AT + 4)
ID3 = b"ID3\x04\0\0\0\0\x02\x10" + b"\0" * 272

TOO_LONG = b"ID3\x03\0\0\0\0\x7f\x7f"  # without a field, of 16,383 bytes by its header


def told(count: int) -> bytes:
    """The recording with another number of frames in its tag."""
    return WHOLE[: NUMBER.start] + count.to_bytes(4) + WHOLE[NUMBER.stop :]


def with_title(data: bytes, title: bytes) -> bytes:
    frame = b"TIT2" + len(title + b"\0").to_bytes(4) + b"\0\0\0" + title
    return b"ID3\x04\0\0\0\0\0" + bytes([len(frame)]) + frame + data


N_FRAMES = mpeg.walk(WHOLE).count
N_OTHER = mpeg.walk(OTHER).count


def test_the_frames_of_an_encoder_are_those_that_its_tag_tells_of():
    frames = mpeg.walk(WHOLE)
    assert frames.tag.count == frames.count == int.from_bytes(WHOLE[NUMBER])
    assert frames.spans == [(TAG, len(WHOLE))]
    assert mpeg.mended(WHOLE) is WHOLE


@pytest.mark.parametrize(
    ("data", "n_frames"),
    [
        (WHOLE[TAG:], N_FRAMES),
        (with_title(WHOLE[TAG:], b"Information Overload"), N_FRAMES),
        (with_title(WHOLE[TAG:], b"Xing VBRI"), N_FRAMES),
        (told(N_FRAMES // 2), N_FRAMES),
        (told(0), N_FRAMES),
        (WHOLE + OTHER, N_FRAMES + 1 + N_OTHER),  # the second tag is a silent frame
        (WHOLE + ID3 + OTHER, N_FRAMES + 1 + N_OTHER),
        (WHOLE[TAG:] + b"TAG" + bytes(125) + OTHER[TAG:], N_FRAMES + N_OTHER),
        (WHOLE + b"TAG" + b"x" * 125, N_FRAMES),
        (WHOLE + bytes(100_000), N_FRAMES),
        (bytes(417) + WHOLE, N_FRAMES),
        (b"\r\n" + WHOLE, N_FRAMES),
        (ID3 + b"\0" + WHOLE, N_FRAMES),
        (bytes(100_000) + WHOLE[TAG:], N_FRAMES),
        (ID3 + ID3 + WHOLE, N_FRAMES),
        (TOO_LONG + WHOLE, N_FRAMES),
        (TOO_LONG + bytes(999) + WHOLE, N_FRAMES),
        (b"ID3\x03\0\0\x7f\x7f\x7f\x7f" + with_title(b"", b"Too long")[10:] + WHOLE, N_FRAMES),
        (b"ID3\x02\0\0\0\0\x7f\x7fTT2\0\0\x05\0four" + WHOLE, N_FRAMES),
    ],
)  # fmt: skip
def test_all_of_it_is_read(data, n_frames):
    assert is_recording(data)
    # libmpg123 leaves out what the decoder adds in front, 529 samples, and what the tag tells of.
    assert 0 <= n_frames * SPF - len(decode(data)) <= 3 * SPF


def test_the_sound_is_that_of_the_file_without_the_fault():
    right = decode(WHOLE)
    for data in (told(N_FRAMES // 2), bytes(417) + WHOLE, WHOLE + bytes(999)):
        found = decode(data)
        n = min(len(found), len(right))
        assert n > 3.9 * RATE
        assert abs(found[:n] - right[:n]).max() < 1e-3


def test_a_file_that_lacks_what_its_tag_tells_of_is_truncated():
    with pytest.raises(DataError, match=r"^is truncated: 4\.1 s of the 8\.2 s in its header$"):
        decode(told(2 * N_FRAMES))
    with pytest.raises(DataError, match=r"^is truncated: 2\.\d s of the 4\.1 s in its header$"):
        decode(WHOLE[: len(WHOLE) * 6 // 10])


def test_a_file_that_is_cut_without_a_tag_is_read_as_far_as_it_goes():
    cut = WHOLE[TAG + 100 : -50]
    assert (N_FRAMES - 4) * SPF <= len(decode(cut)) <= N_FRAMES * SPF


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (encode(tone(2.0, rate=44_100), "MP3", rate=44_100), "44,100 Hz with 1 channels"),
        (encode(tone(4.0).reshape(-1, 2), "MP3"), "22,050 Hz with 2 channels"),
    ],
)
def test_joined_files_of_two_forms_are_named(other, words):
    with pytest.raises(DataError, match=rf"after 4\.1 s .*22,050 Hz with 1 channels, then {words}"):
        decode(WHOLE + other)


def test_damage_within_costs_the_frames_it_hits():
    middle = mpeg.walk(WHOLE).spans[0][0]
    for _ in range(N_FRAMES // 2):
        middle += mpeg.length_of(WHOLE[middle + 1], WHOLE[middle + 2])
    damaged = WHOLE[:middle] + b"\x55" * 4 + WHOLE[middle + 4 :]
    frames = mpeg.walk(damaged)
    assert (frames.count, len(frames.spans)) == (N_FRAMES - 1, 2)


@pytest.mark.parametrize("options", [
    ("-q:a", "4"), ("-q:a", "4", "-write_xing", "0"), ("-b:a", "96k"),
    ("-b:a", "96k", "-write_xing", "0"), ("-ar", "44100", "-q:a", "6", "-write_xing", "0"),
    ("-f", "mp2", "-b:a", "96k"),
])  # fmt: skip
@pytest.mark.parametrize("twice", [False, True])
def test_ffmpeg_counts_as_many_frames(tmp_path: Path, options, twice):
    if not shutil.which("ffmpeg"):
        pytest.skip("ffmpeg is not on this machine")
    (tmp_path / "x.wav").write_bytes(encode(tone(4.0)))
    song = tmp_path / "x.mp3"
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "x.wav", "-map_metadata", "-1",
                    "-f", "mp3", *options, song], check=True)  # fmt: skip
    data = song.read_bytes() * (1 + twice)
    song.write_bytes(data)
    asked = ["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets"]
    counted = subprocess.run([*asked, "-of", "csv=p=0", song], capture_output=True, text=True)
    # ffprobe leaves out the first tag's frame alone.
    frames = mpeg.walk(data)
    n_tags_within = data.count(b"Xing") + data.count(b"Info") - (frames.tag is not None)
    assert n_tags_within == (twice and frames.tag is not None)
    assert frames.count == int(counted.stdout.strip().strip(","))


def test_letters_are_no_sound():
    for data in (
        b"\xff\xfb\x90\x64" + bytes(1000),
        b"\xff\xfe" + b"[\0.\0S\0h\0" * 50,
        b"TAG" * 99,
    ):
        assert mpeg.walk(data) is None


def test_a_free_format_is_read(tmp_path: Path):
    if not shutil.which("lame"):
        pytest.skip("lame is not on this machine")
    (tmp_path / "x.wav").write_bytes(encode(tone(4.0)))
    command = ["lame", "--quiet", "--freeformat", "-b", "130", "-t", "x.wav", "x.mp3"]
    subprocess.run(command, check=True, cwd=tmp_path)
    data = (tmp_path / "x.mp3").read_bytes()
    assert mpeg.walk(data) is None
    assert abs(len(decode(data)) - 4 * RATE) < 4 * SPF


def test_frames_of_a_free_format_follow_at_even_distances():
    frame = b"\xff\xf3\x00\xc4" + bytes(396)
    assert mpeg.is_free_format(3 * frame, 0)
    assert mpeg.is_free_format(frame + b"\0" + 2 * frame, 0)  # padded
    assert not mpeg.is_free_format(frame + bytes(50) + 2 * frame, 0)
    assert not mpeg.is_free_format(b"\xff\xfe" + "words of a text".encode("utf-16-le"), 0)
