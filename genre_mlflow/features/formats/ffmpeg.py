"""Recordings that the program ffmpeg decodes, where it is on the machine.

It is given one file, told its format, and let at neither the network nor at decoders of pictures:
what a file asks to be opened beside it stays shut.
"""

import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from threading import Thread, Timer
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt

from genre_mlflow.errors import DataError
from genre_mlflow.features.formats import ebml, iso, lengths
from genre_mlflow.files.names import escaped

Samples = npt.NDArray[np.float32]

PROGRAM = "ffmpeg"
LIMIT_S = 300.0  # an hour of AAC takes some ten seconds, of the slowest APE a few minutes
ANSWER_S = 30.0  # until it has told its version
KEPT = 2000  # bytes of what it complains of
LONGEST_REASON = 160  # letters
WHO = re.compile(r"^\[[^\]]* @ [^\]]*\] |^file:/dev/stdin: ")  # says it, in front of a line
NOT_OURS = ("not on whitelist", "Last message repeated")  # the first of decoders of pictures
AU = struct.Struct(">4s5I")  # its letters, where the sound begins, size, coding, rate, channels
# Decoders of sound that may be in these formats; a build has some of them.
DECODERS = (
    "aac", "aac_latm", "ac3", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms", "alac", "amrnb", "amrwb",
    "ape", "dca", "eac3", "flac", "gsm", "libopus", "libspeex", "libvorbis", "mp1", "mp1float",
    "mp2", "mp2float", "mp3", "mp3float", "mpc7", "mpc8", "opus", "pcm_alaw", "pcm_f32be",
    "pcm_f32le", "pcm_f64be", "pcm_f64le", "pcm_mulaw", "pcm_s16be", "pcm_s16le", "pcm_s24be",
    "pcm_s24le", "pcm_s32be", "pcm_s32le", "pcm_s8", "pcm_u8", "qdm2", "speex", "truehd", "tta",
    "vorbis", "wavpack", "wmalossless", "wmapro", "wmav1", "wmav2", "wmavoice",
)  # fmt: skip


class Container(NamedTuple):
    """A format: ffmpeg's name for it, ours, and how long a file of it is by its own header.

    `head`: as many of a file's first bytes as no other place in it has; 0 where that is not known.
    """

    demuxer: str
    name: str
    seconds_of: Callable[[bytes], float] = lambda data: 0.0
    head: int = 0


CONTAINERS = {  # by the kind that `kinds.kind_of` tells
    "MP4": Container("mov", "M4A, MP4 or MOV", iso.seconds_of),
    "AAC": Container("aac", "AAC"),
    "WMA": Container("asf", "WMA", lengths.of_asf, 16),
    "Matroska": Container("matroska", "WebM or Matroska", ebml.seconds_of),
    "APE": Container("ape", "Monkey's Audio (APE)", lengths.of_ape, 6),
    "WavPack": Container("wv", "WavPack", lengths.of_wavpack),
    "TTA": Container("tta", "TTA", lengths.of_tta, 6),
    "Musepack": Container("mpc8", "Musepack", lengths.of_musepack),
    "Speex": Container("ogg", "OGG with Speex", lengths.of_ogg),
    "Ogg FLAC": Container("ogg", "OGG with FLAC", lengths.of_ogg),
    "Coded CAF": Container("caf", "CAF with AAC, ALAC or Opus", lengths.of_caf),
}


def seconds_told(data: bytes, kind: str) -> float:
    """Length of a recording by its own header, 0 where that tells none.

    Raises `DataError` for a file that is truncated, has no sound, or goes on as another one, which
    ffmpeg would leave out.
    """
    container = CONTAINERS[kind]
    told = container.seconds_of(data)
    if container.head and data.find(data[: container.head], container.head) >= 0:
        raise DataError(lengths.JOINED)
    return told


def decoded(data: bytes, kind: str, n_samples: int) -> Iterator[tuple[int, Samples]]:
    """Sample rate and sound `[samples, channels]`, at most `n_samples` of each channel at a time.

    Raises `DataError` for what ffmpeg cannot decode, or not within `LIMIT_S`, and where there is
    no ffmpeg. The process ends with the iterator.
    """
    program = find(kind)
    demuxer = "mpc" if data[:3] == b"MP+" else CONTAINERS[kind].demuxer
    deadline = time.monotonic() + LIMIT_S
    with file_of(data) as file, running(command(program, demuxer), file, LIMIT_S) as process:
        assert process.stdout and process.stderr
        said = bytearray()
        listener = Thread(target=keep_first, args=(process.stderr, said), daemon=True)
        listener.start()
        has_sound = False
        for rate, block in read_au(process.stdout, n_samples):
            has_sound = True
            yield rate, block
        status = process.wait()
        listener.join()
    if status and time.monotonic() >= deadline:
        raise DataError(f"takes ffmpeg more than {LIMIT_S:g} s; encode it anew")
    if status < 0:
        raise DataError(f"cannot be decoded: ffmpeg was ended by signal {-status}")
    if status or not has_sound:
        raise DataError(reason(said.decode(errors="replace")))


def find(kind: str) -> str:
    """Path of the program. Raises `DataError`, which names the format, where there is none."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise DataError(
            f"is {CONTAINERS[kind].name}, which is read only where the program {PROGRAM} is "
            "installed; install it, or encode the file as FLAC"
        )
    return program


def command(program: str, demuxer: str) -> list[str]:
    """The call: one file in, the first stream of sound out, in 32 bits, as it is."""
    return [
        program, "-nostdin", "-hide_banner", "-v", "error", "-threads", "1",
        "-protocol_whitelist", "file", "-codec_whitelist", ",".join(DECODERS),
        "-f", demuxer, "-i", "file:/dev/stdin",
        "-map", "0:a:0", "-map_metadata", "-1", "-c:a", "pcm_f32be", "-f", "au", "pipe:1",
    ]  # fmt: skip


@contextmanager
def file_of(data: bytes) -> Iterator[IO[bytes]]:
    """A file without a name, so that nothing is left of it: some formats are read from the end."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.seek(0)
            yield file
    except OSError as error:
        raise DataError(f"cannot be given to ffmpeg: {error.strerror}") from error


@contextmanager
def running(
    arguments: list[str], file: IO[bytes] | int, limit_s: float
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed when its time is over, and at the end of the block.

    It leads a group, so that what it has started ends with it, and Ctrl-C is not its business.
    """
    try:
        process = subprocess.Popen(
            arguments,
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        why = f"{arguments[0]} does not start ({error.strerror})"
        raise DataError(f"cannot be read: {why}") from error
    clock = Timer(limit_s, kill, [process])
    clock.daemon = True
    clock.start()
    with process:
        try:
            yield process
        finally:
            clock.cancel()
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a process and its children, which may live on without it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def keep_first(pipe: IO[bytes], said: bytearray) -> None:
    """Read all that a process says, and keep the first of it."""
    while piece := pipe.read(KEPT):
        said += piece[: KEPT - len(said)]


def read_au(pipe: IO[bytes], n_samples: int) -> Iterator[tuple[int, Samples]]:
    """Sample rate and blocks of an AU stream of 32 bits."""
    head = pipe.read(AU.size)
    if len(head) < AU.size:
        return
    _, start, _, _, rate, channels = AU.unpack(head)
    pipe.read(start - AU.size)
    frame = 4 * channels
    while piece := pipe.read(n_samples * frame):
        whole = len(piece) // frame * channels
        yield rate, np.frombuffer(piece, ">f4", whole).astype(np.float32).reshape(-1, channels)


def reason(said: str) -> str:
    """What is wrong with a file, of which ffmpeg has said this."""
    if "matches no streams" in said:
        return "holds no sound"
    lines = [WHO.sub("", line).strip() for line in said.splitlines()]
    ours = [line for line in lines if line and not any(words in line for words in NOT_OURS)]
    first = next(iter(ours or lines), "no sound came")
    return f"is damaged or truncated (ffmpeg: {escaped(first[:LONGEST_REASON])})"


def version() -> str:
    """Version of the program, empty where there is none. Raises `DataError` if it does not run."""
    program = shutil.which(PROGRAM)
    if program is None:
        return ""
    found = version_of(program)
    if not found:
        raise DataError(f"needs {program}, which does not tell its version")
    return found


@cache
def version_of(program: str) -> str:
    """What the first line of `ffmpeg -version` names; empty if there is no such line."""
    with running([program, "-version"], subprocess.DEVNULL, ANSWER_S) as process:
        assert process.stdout
        said = process.stdout.read(KEPT)
    found = re.match(rb"ffmpeg version (\S+)", said)
    return escaped(found[1].decode(errors="replace")) if found else ""
