"""What libsndfile does not read is decoded by ffmpeg: whole, safely, or named in one line."""

import os
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import correlate
from sounds import RATE, by_ffmpeg, encode, program, tone

from genre_mlflow.errors import DataError
from genre_mlflow.features import audio
from genre_mlflow.features.audio import decode, digest_of, is_recording, open_blocks
from genre_mlflow.features.formats import ffmpeg, iso
from genre_mlflow.features.formats.kinds import kind_of
from genre_mlflow.features.preprocessing import content_of, further_decoders

SOUND = tone(3.0)
STEREO = np.stack([tone(2.0, 440, 44_100), tone(2.0, 880, 44_100, seed=1)], axis=1)
FRAME = 2048  # samples; the largest frame of these codecs
LOSSLESS = {
    "alac.m4a": ("MP4", "alac"), "flac.mp4": ("MP4", "flac"), "pcm.mov": ("MP4", "pcm_s16be"),
    "x.wv": ("WavPack", "wavpack"), "x.tta": ("TTA", "tta"), "flac.mka": ("Matroska", "flac"),
    "flac.oga": ("Ogg FLAC", "flac"), "alac.caf": ("Coded CAF", "alac"),
}  # fmt: skip
LOSSY = {
    "aac.m4a": ("MP4", "aac"), "mp3.mka": ("Matroska", "libmp3lame"), "x.aac": ("AAC", "aac"),
    "x.wma": ("WMA", "wmav2"), "v.mka": ("Matroska", "libvorbis"), "aac.mkv": ("Matroska", "aac"),
}  # fmt: skip
TRUNCATED = "^is (damaged or )?truncated"


def coded(name: str, sound: np.ndarray = SOUND, *options: str, rate: int = RATE) -> bytes:
    """A file of one of these names."""
    coder = {**LOSSLESS, **LOSSY}[name][1]
    strict = ("-strict", "-2") if name == "flac.mp4" else ()
    return by_ffmpeg(sound, name, "-c:a", coder, *strict, *options, rate=rate)


def film(*options: str, sound: np.ndarray = SOUND, name: str = "x.mp4") -> bytes:
    """Two seconds of a picture that changes, and the sound as the options say."""
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x64:rate=10:duration=2")
    return by_ffmpeg(sound, name, *picture, "-c:v", "mpeg4", *options)


@pytest.fixture
def no_ffmpeg(tmp_path, monkeypatch):
    """A machine without the program, from now on."""

    def leave() -> None:
        monkeypatch.setenv("PATH", str(tmp_path / "empty"))

    return leave


@pytest.fixture
def instead(tmp_path, monkeypatch):
    """Another program of this name, from now on, made of lines of sh."""

    def put(script: str) -> None:
        program(tmp_path, script)
        monkeypatch.setenv("PATH", str(tmp_path))

    return put


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_give_their_samples_and_are_copies_of_a_wav(name):
    data = coded(name)
    assert kind_of(data) == LOSSLESS[name][0]
    np.testing.assert_array_equal(decode(data), SOUND)
    assert digest_of(data) == digest_of(encode(SOUND))
    stereo = coded(name, STEREO, rate=44_100)
    assert content_of(stereo) == content_of(encode(STEREO, rate=44_100))


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_formats_sound_alike_and_last_as_long(name):
    data = coded(name)
    assert kind_of(data) == LOSSY[name][0]
    found = decode(data)
    assert abs(len(found) - len(SOUND)) <= 2 * FRAME
    assert likeness(found, SOUND) > 0.98


def likeness(found: np.ndarray, sound: np.ndarray) -> float:
    """Correlation of two sounds, of which one may begin up to two frames before the other."""
    middle = standardised(sound[4 * FRAME : 4 * FRAME + RATE])
    nearby = found[2 * FRAME : 6 * FRAME + RATE]
    shift = int(correlate(nearby, middle, mode="valid", method="fft").argmax())
    return float(middle @ standardised(nearby[shift : shift + RATE])) / RATE


def standardised(sound: np.ndarray) -> np.ndarray:
    return (sound - sound.mean()) / sound.std()


def test_opus_in_webm_and_speex_are_read():
    webm = by_ffmpeg(SOUND, "x.webm", "-c:a", "libopus")
    speex = by_ffmpeg(SOUND, "x.ogg", "-c:a", "libspeex", "-ar", "16000")
    assert (kind_of(webm), kind_of(speex)) == ("Matroska", "Speex")
    for data in (webm, speex):
        assert abs(len(decode(data)) - len(SOUND)) <= 2 * FRAME


@pytest.mark.parametrize("name", [*LOSSLESS, *LOSSY])
def test_ffmpeg_itself_counts_as_many_samples(tmp_path, name):
    (tmp_path / name).write_bytes(coded(name, STEREO, rate=44_100))
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / name, "-f", "s16le", "-"]
    theirs = subprocess.run(command, capture_output=True, check=True).stdout
    rate, blocks = open_blocks((tmp_path / name).read_bytes())
    assert (rate, sum(map(len, blocks))) == (44_100, len(theirs) // 4)


@pytest.mark.parametrize("name", ["alac.m4a", "aac.m4a", "x.wma", "x.wv", "x.tta"])
def test_files_that_were_joined_are_named(name):
    data = coded(name)
    with pytest.raises(DataError, match=r"^holds more than one file, as those have that were join"):
        decode(data + data)


@pytest.mark.parametrize("name", ["x.aac", "flac.oga", "flac.mka"])
def test_files_that_were_joined_are_read_where_ffmpeg_reads_on(name):
    data = coded(name)
    assert abs(len(decode(data + data)) - 2 * len(decode(data))) <= FRAME


def test_an_mp3_in_an_mp4_is_read_as_an_mp3_without_ffmpeg(no_ffmpeg):
    data = by_ffmpeg(SOUND, "x.mp4", "-c:a", "libmp3lame")
    no_ffmpeg()
    assert kind_of(data) == "MP3"
    assert abs(len(decode(data)) - len(SOUND)) <= 2 * FRAME


def test_tags_in_front_and_a_stream_that_was_cut_out_are_passed_over():
    data, tag = coded("x.aac"), b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
    assert kind_of(tag + data) == kind_of(data[100:]) == kind_of(bytes(500) + data) == "AAC"
    np.testing.assert_array_equal(decode(tag + data), decode(data))
    assert len(decode(data)) - len(decode(data[100:])) <= 2 * FRAME


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv"])
def test_of_a_film_the_sound_is_read(name):
    found = decode(film("-c:a", "aac", name=name))
    assert abs(len(found) - len(SOUND)) <= 2 * FRAME
    assert likeness(found, SOUND) > 0.98


def test_of_a_film_no_picture_is_decoded(tmp_path):
    (tmp_path / "x.mp4").write_bytes(film("-c:a", "aac"))
    with (tmp_path / "x.mp4").open("rb") as file:
        done = subprocess.run(ffmpeg.command("ffmpeg", "mov"), stdin=file, capture_output=True)
    assert b"Codec (mpeg4) not on whitelist" in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.wmv"])
def test_a_film_without_sound_is_named(name):
    data = film("-map", "1:v", name=name)
    assert is_recording(data)
    with pytest.raises(DataError, match=r"^holds no track of sound$"):
        decode(data)


@pytest.mark.parametrize("name", [*LOSSLESS, *LOSSY])
def test_without_ffmpeg_the_line_says_what_is_needed(name, no_ffmpeg):
    data = coded(name)
    no_ffmpeg()
    line = (
        r"^is [\w ,()']+, which is read only where the program ffmpeg is installed; install it, or"
    )
    for read in (decode, digest_of):
        with pytest.raises(DataError, match=line):
            read(data)


def test_what_libsndfile_reads_needs_no_ffmpeg(no_ffmpeg):
    no_ffmpeg()
    for kind in ("WAV", "AIFF", "AU", "CAF", "W64", "FLAC", "OGG", "MP3"):
        data = encode(SOUND, kind)
        assert kind_of(data) == kind
        assert abs(len(decode(data)) - len(SOUND)) <= 2 * FRAME


FAST = ("-movflags", "+faststart")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(("name", "options"), [
    ("aac.m4a", ()), ("aac.m4a", FAST), ("alac.m4a", FAST), ("x.wma", ()), ("v.mka", ()),
    ("x.wv", ()), ("x.tta", ()), ("alac.caf", ()), ("flac.oga", ()),
    ("aac.m4a", ("-movflags", "frag_keyframe+empty_moov", "-frag_duration", "500000")),
])  # fmt: skip
def test_a_file_that_ends_too_soon_is_truncated(name, options, share):
    data = coded(name, SOUND, *options)
    with pytest.raises(DataError, match=TRUNCATED):
        decode(data[: int(share * len(data))])


def test_a_header_that_tells_of_more_sound_than_there_is_is_named():
    data = coded("aac.m4a")
    edits = data.index(b"elst")
    longer = data[: edits + 12] + (9000).to_bytes(4) + data[edits + 16 :]  # ms
    with pytest.raises(DataError, match=r"is damaged or truncated: 3\.0 s of the 9\.0 s in"):
        decode(longer)
    no_end = data[: edits + 12] + (4_000_000).to_bytes(4) + data[edits + 16 :]
    with pytest.raises(DataError, match=r"^lasts 4,000 s by its header; at most 3,600 s are read"):
        decode(no_end)


def test_damage_is_one_line_of_what_ffmpeg_says():
    data = coded("alac.m4a")
    content = data.index(b"mdat") + 4
    noise = np.random.default_rng(0).bytes(50_000)
    with pytest.raises(DataError) as caught:
        decode(data[:content] + noise + data[content + 50_000 :])
    assert "truncated" in str(caught.value)
    assert "\n" not in str(caught.value) and "@ 0x" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n", b"[playlist]\nFile1=http://localhost/x\n",
        b"\0\0\0\x1cftypheic" + bytes(99), b"\0\0\0\x1cftypavif" + bytes(99),
        b"MAC OS X", b"wide open spaces", b"caffeine and more of it, for all of us",
        b"\xff\xf1" + bytes(99), b"TTA1 is a format", b"RIFF____AVI " + bytes(99),
    ],
)  # fmt: skip
def test_lists_of_other_files_pictures_and_words_are_no_recordings(data):
    assert not is_recording(data)


def test_a_film_that_names_another_file_as_its_sound_is_not_followed(tmp_path):
    data = coded("pcm.mov")
    (tmp_path / "secret.mov").write_bytes(data)
    name = str(tmp_path / "secret.mov").encode()
    alias = bytes(4 + 10 + 28 + 12 + 64 + 16) + struct.pack(">HH", 0, 0) + bytes(16)
    alias += struct.pack(">HH", 2, len(name)) + name + bytes(len(name) % 2) + b"\xff\xff\0\0"
    entry = struct.pack(">I4s", len(alias) + 8, b"alis") + alias
    path = (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref")
    hostile = with_box(data, path, bytes(4) + (1).to_bytes(4) + entry)
    start = hostile.index(b"mdat") + 4
    hostile = hostile[:start] + bytes(2 * len(SOUND)) + hostile[start + 2 * len(SOUND) :]
    (tmp_path / "hostile.mov").write_bytes(hostile)
    careless = ["ffmpeg", "-v", "error", "-enable_drefs", "1", "-use_absolute_path", "1",
                "-i", tmp_path / "hostile.mov", "-f", "s16le", "-"]  # fmt: skip
    followed = subprocess.run(careless, capture_output=True, check=True).stdout
    np.testing.assert_array_equal(np.frombuffer(followed, "<i2"), 32768 * SOUND)
    with pytest.raises(DataError, match=r"^is damaged or truncated \(ffmpeg: "):
        decode(hostile)


def with_box(data: bytes, path: tuple[bytes, ...], content: bytes) -> bytes:
    """A file in which the box at the end of a path holds something else."""
    if not path:
        return content
    parts = [
        struct.pack(">I4s", 8 + len(inner), name) + inner
        for name, start, end in iso.boxes(data, 0, len(data))
        for inner in [
            with_box(data[start:end], path[1:], content) if name == path[0] else data[start:end]
        ]
    ]
    return b"".join(parts)


def test_a_program_that_hangs_is_ended_with_what_it_has_started(tmp_path, instead, monkeypatch):
    data = coded("aac.m4a")
    instead(f"(/bin/sleep 60; echo > {tmp_path}/end) & echo $! > {tmp_path}/child; wait")
    monkeypatch.setattr(ffmpeg, "LIMIT_S", 1.0)
    with pytest.raises(DataError, match=r"^takes ffmpeg more than 1 s; encode it anew$"):
        decode(data)
    assert is_gone(int((tmp_path / "child").read_text()))
    assert not (tmp_path / "end").exists()


def is_gone(process: int) -> bool:
    """Whether a process ends soon; one that nobody has waited for counts as ended."""
    for _ in range(100):
        try:
            os.kill(process, 0)
            state = Path(f"/proc/{process}/stat")
            if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


HEAD = r"printf '.snd\000\000\000\030\377\377\377\377\000\000\000\006\000\000V\042\000\000\000\001'"


def test_sound_that_never_ends_is_refused_and_its_program_ended(tmp_path, instead, monkeypatch):
    data = coded("x.aac")
    instead(f"echo $$ > {tmp_path}/process; {HEAD}; exec /bin/cat /dev/zero")
    monkeypatch.setattr(audio, "LONGEST_S", 100.0)
    with pytest.raises(DataError, match=r"^lasts longer than 100 s, which is the most that is rea"):
        decode(data)
    assert is_gone(int((tmp_path / "process").read_text()))


def test_a_program_that_nobody_waits_for_is_ended(tmp_path, instead):
    data = coded("x.aac")
    nan = r"/usr/bin/tr '\000' '\377' < /dev/zero | /usr/bin/head -c 300000"
    instead(f"echo $$ > {tmp_path}/process; {HEAD}; {nan}; /bin/sleep 60; echo > {tmp_path}/end")
    with pytest.raises(DataError, match=r"^holds NaN or infinite samples"):
        decode(data)
    assert is_gone(int((tmp_path / "process").read_text()))
    assert not (tmp_path / "end").exists()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 0", r"^is damaged or truncated \(ffmpeg: no sound came\)$"),
        (f"{HEAD}; exit 1", r"^is damaged or truncated \(ffmpeg: no sound came\)$"),
        (f"{HEAD}; /bin/head -c 400000 /dev/zero; exit 1", r"\(ffmpeg: no sound came\)$"),
        ("echo '[x @ 0x1] it is\x1b[2J bad' >&2; exit 1", r"\(ffmpeg: it is\\x1b\[2J bad\)$"),
        ("/bin/yes la | /usr/bin/head -c 900000 >&2; exit 1", r"\(ffmpeg: la\)$"),
        ("kill -SEGV $$", r"^cannot be decoded: ffmpeg was ended by signal 11$"),
    ],
)
def test_a_program_that_fails_is_one_line(instead, script, message):
    data = coded("aac.m4a")
    instead(script)
    with pytest.raises(DataError, match=message):
        decode(data)


def test_a_program_that_cannot_be_started_is_one_line(tmp_path, instead):
    data = coded("aac.m4a")
    instead("")
    (tmp_path / "ffmpeg").write_bytes(b"\x7fELF and nothing else")
    with pytest.raises(DataError, match=r"^cannot be read: /.*/ffmpeg does not start \("):
        decode(data)


def test_a_version_is_asked_for_only_where_it_matters(tmp_path, instead):
    instead(f"echo asked >> {tmp_path}/log; echo 'ffmpeg version 9.9-test Copyright'")
    assert further_decoders(["WAV", "MP3", "PNG"]) == []
    assert not (tmp_path / "log").exists()
    assert further_decoders(["WAV", "MP4"]) == further_decoders(["AAC"]) == ["ffmpeg 9.9-test"]
    assert (tmp_path / "log").read_text() == "asked\n"


def test_a_program_that_does_not_tell_its_version_is_one_line(instead, monkeypatch):
    instead("exec /bin/sleep 60")
    monkeypatch.setattr(ffmpeg, "ANSWER_S", 0.5)
    with pytest.raises(DataError, match=r"^needs /.*/ffmpeg, which does not tell its version$"):
        ffmpeg.version()
