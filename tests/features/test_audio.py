"""Recordings of any format become mono sound, in segments; what is none is named as what it is."""

import os
from contextlib import suppress
from itertools import pairwise

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import RATE, claiming, encode, tone

from genre_mlflow.errors import DataError
from genre_mlflow.features import audio
from genre_mlflow.features.audio import (
    LONGEST_S,
    NEARLY,
    decode,
    digest_of,
    fill,
    is_recording,
    is_recording_file,
    normalise,
    segment_bounds,
)

SOUND = tone(2.0)
STEREO = np.stack([tone(2.0, 440, 44_100), tone(2.0, 880, 44_100, seed=1)], axis=1)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("AU", "PCM_16"),
        ("FLAC", "PCM_16"), ("FLAC", "PCM_24"),
    ],
)  # fmt: skip
def test_lossless_formats_give_their_samples(kind, subtype):
    data = encode(SOUND, kind, subtype)
    assert is_recording(data)
    found = decode(data)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, SOUND, atol=1 / 32768)


@pytest.mark.parametrize(("kind", "subtype"), [("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")])
def test_lossy_formats_sound_alike(kind, subtype):
    data = encode(SOUND, kind, subtype)
    assert is_recording(data)
    found = decode(data)
    assert abs(len(found) - len(SOUND)) < 0.1 * RATE
    strongest = np.abs(np.fft.rfft(found[:RATE])).argmax()
    assert abs(strongest - 440) <= 2


def test_opus_is_an_ogg_too():
    assert len(decode(encode(tone(2.0, rate=48_000), "OGG", "OPUS", 48_000))) == 2 * RATE


@pytest.mark.slow  # librosa compiles for ten seconds first
@pytest.mark.filterwarnings("ignore:.*(aifc|audioop|sunau)")  # librosa's audioread imports them
@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_any_rate_and_number_of_channels_is_what_librosa_loads(tmp_path, rate, channels):
    sound = np.stack([tone(1.5, 300 + 50 * i, rate, i) for i in range(channels)], axis=1)
    (tmp_path / "x.wav").write_bytes(encode(sound, "WAV", "PCM_16", rate))
    theirs, _ = librosa.load(tmp_path / "x.wav", sr=RATE)
    ours = decode((tmp_path / "x.wav").read_bytes())
    n = min(len(ours), len(theirs))
    assert abs(len(ours) - len(theirs)) <= 1
    np.testing.assert_allclose(ours[:n], theirs[:n], atol=1e-4)


def test_a_long_recording_is_resampled_as_a_short_one_is():
    sound = tone(60.0, rate=44_100)
    whole = decode(encode(sound, "FLAC", "PCM_16", 44_100))  # several blocks
    part = decode(encode(sound[: 44_100 * 5], "FLAC", "PCM_16", 44_100))
    assert len(whole) == 60 * RATE
    np.testing.assert_allclose(whole[: 4 * RATE], part[: 4 * RATE], atol=1e-6)


NAN, LOUD = tone(1.5), tone(1.5)
NAN[7], LOUD[7] = np.nan, 1e20
OPPOSITE = np.stack([tone(1.5), tone(1.5)], axis=1)
OPPOSITE[9] = np.inf, -np.inf
INFINITE = np.where(np.isnan(NAN), np.inf, NAN).astype(np.float32)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encode(tone(0.01)), r"^lasts 0\.01 s; at least 1 s are needed$"),
        (encode(np.zeros(2 * RATE)), r"^is silent throughout \(2\.0 s\)$"),
        (encode(NAN, "WAV", "FLOAT"), "^holds NaN or infinite samples; allowed"),
        (encode(INFINITE, "WAV", "FLOAT"), "^holds NaN or infinite samples; allowed"),
        (encode(OPPOSITE, "WAV", "FLOAT"), "^holds NaN or infinite samples; allowed"),
        (encode(LOUD, "WAV", "FLOAT"), r"^holds samples of 1e\+20; allowed are -1e\+06 to 1e\+06$"),
        (encode(SOUND)[:50_000], r"^is truncated: 50,000 bytes of the 88,244"),
        (encode(SOUND, "AU")[:50_000], "^is truncated: 50,000 bytes of the 88,224"),
        (encode(SOUND, "FLAC")[:20_000], r"^is damaged or truncated \(flac decoder lost sync\)$"),
        (encode(SOUND, "MP3")[:9000], r"^is truncated: [01]\.\d s of the 2\.\d s in its header$"),
        (claiming(encode(SOUND), 36_000), "^is truncated: 88,244 bytes of the 1,587,600,044"),
        (claiming(encode(SOUND, "FLAC"), 36_000), "^lasts 36,000 s by its header; at most 3,600 s"),
        (b"fLaC" + bytes(1000), "^is damaged or truncated"),
        (b"OggS" + bytes(1000), "^is damaged or truncated"),
        (b"ID3" + bytes(1000), "^holds no sound behind its ID3 tag$"),
        (b"RIFF\xff\xff\xff\xffWAVE", "^is damaged or truncated"),
    ],
)  # fmt: skip
def test_what_is_no_whole_recording_is_named(data, message):
    assert is_recording(data)
    for read in (decode, digest_of):
        with pytest.raises(DataError, match=message):
            read(data)


def test_a_recording_beyond_the_longest_is_refused_from_its_header():
    data = encode(np.full(int((LONGEST_S + 1) * 100), 0.5, np.float32), "WAV", "PCM_16", 100)
    with pytest.raises(DataError, match="lasts 3,601 s by its header; at most 3,600 s are read"):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"RIFF____AVI ",
        b"la la la",
        b"\xff\xd8\xff\xe0",
        b"\xff" * 100,
        b"\xff\xfb\x90\x64" + bytes(1000),
        "\ufeff[.ShellClassInfo]".encode("utf-16-le"),
    ],
)
def test_other_content_is_no_recording(data):
    assert not is_recording(data)


def test_a_header_of_a_stream_tells_no_length():
    data = bytearray(encode(SOUND))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    assert len(decode(bytes(data))) == len(SOUND)


def test_an_mp3_without_the_tag_of_its_length_is_taken_as_it_is():
    data = encode(tone(4.0), "MP3")
    assert b"Xing" in data[:300] or b"Info" in data[:300]
    untagged = data.replace(b"Xing", b"____").replace(b"Info", b"____")[: len(data) // 2]
    assert RATE < len(decode(untagged)) < 3 * RATE


def test_a_file_is_a_recording_wherever_its_sound_begins(tmp_path):
    song = encode(tone(2.0), "MP3")
    for name, data, expected in [
        ("song", song, True), ("zeros", bytes(100_000) + song, True), ("short", song[:3000], True),
        ("picture", b"ID3\x04\0\0\0\x10\0\0" + bytes(1 << 18) + song, True),
        ("text", b"la " * 50_000, False), ("png", b"\x89PNG" + bytes(100_000) + song, False),
    ]:  # fmt: skip
        (tmp_path / name).write_bytes(data)
        assert is_recording_file(tmp_path / name) == expected, name


def test_the_same_sound_in_another_format_has_the_same_digest():
    digests = {digest_of(encode(SOUND, kind)) for kind in ("WAV", "AU", "FLAC")}
    assert len(digests) == 1
    assert digest_of(encode(SOUND * 0.9)) not in digests
    assert digest_of(encode(SOUND, rate=11_025)) not in digests


@given(st.integers(1, 500), st.integers(1, 100), st.data())
def test_segments_cover_the_recording_in_order(n_samples, length, data):
    step = data.draw(st.integers(1, length))
    bounds = segment_bounds(n_samples, length, step)
    assert bounds[0][0] == 0
    assert all(0 <= start < end <= n_samples for start, end in bounds)
    assert [start for start, _ in bounds] == sorted({start for start, _ in bounds})
    assert n_samples - bounds[-1][1] == 0
    assert all(later <= end for (_, end), (later, _) in pairwise(bounds))
    if n_samples >= length:
        assert all(end - start == length for start, end in bounds[:-1])
        assert length <= bounds[-1][1] - bounds[-1][0] < 1.5 * length


@pytest.mark.parametrize(
    ("seconds", "segments"),
    [
        (20, [(0, 20)]), (30, [(0, 30)]), (30.1, [(0, 30.1)]), (44.9, [(0, 44.9)]),
        (45, [(0, 30), (15, 45)]), (75, [(0, 30), (30, 60), (45, 75)]),
        (74, [(0, 30), (30, 74)]),
    ],
)  # fmt: skip
def test_a_short_rest_joins_the_last_segment_and_a_long_one_is_one_more(seconds, segments):
    bounds = segment_bounds(round(seconds * 10), 300, 300)
    assert bounds == [(round(10 * start), round(10 * end)) for start, end in segments]


def test_a_short_recording_is_repeated_and_an_almost_whole_one_stays():
    sound = tone(1.0)
    assert fill(sound, len(sound)) is sound
    assert fill(sound, int(len(sound) / NEARLY)) is sound
    repeated = fill(sound, int(2.5 * RATE))
    assert len(repeated) == int(2.5 * RATE)
    np.testing.assert_array_equal(repeated[RATE : 2 * RATE], sound)


def test_normalised_sound_has_one_loudness_and_silence_stays():
    for gain in (0.001, 1, 20):
        rms = np.sqrt(np.mean(normalise(gain * SOUND) ** 2))
        assert rms == pytest.approx(0.1, rel=1e-4)
    assert not normalise(np.zeros(10, np.float32)).any()


def test_a_damaged_file_prints_nothing_of_its_own(capfd):
    data = encode(tone(2.0), "AIFF").replace(b"SSND", b"\xffSND")
    with pytest.raises(DataError):
        decode(data)
    assert capfd.readouterr().err == ""


def test_an_mp3_sounds_the_same_where_no_file_can_be_in_memory(monkeypatch):
    data = encode(tone(2.0), "MP3")
    here = decode(data)
    monkeypatch.delattr("os.memfd_create", raising=False)
    np.testing.assert_array_equal(decode(data), here)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="nobody tells what is open")
def test_no_file_in_memory_stays_open():
    before = len(os.listdir("/proc/self/fd"))
    data = encode(tone(2.0), "MP3")
    decode(data)
    for bad in (data[:600], data[: len(data) // 2], data[:400] + bytes(4000)):
        with suppress(DataError):
            decode(bad)
    assert len(os.listdir("/proc/self/fd")) == before


def test_blocks_are_joined_however_many_there_are(monkeypatch):
    monkeypatch.setattr(audio, "ROOM", 10)
    blocks = [np.arange(n, dtype=np.float32) for n in (3, 0, 9, 30, 1)]
    np.testing.assert_array_equal(audio.joined(blocks), np.concatenate(blocks))
