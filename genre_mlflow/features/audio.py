"""From the bytes of a recording to mono sound at one sample rate, and to its segments."""

import hashlib
import io
import os
import struct
import sys
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from genre_mlflow.errors import DataError
from genre_mlflow.features.settings import SAMPLE_RATE

Samples = npt.NDArray[np.float32]

MAX_BYTES = 1_000_000_000  # an hour of stereo at 44.1 kHz and 24 bits is 0.95 GB
LONGEST_S = 3600.0  # 318 MB of mono sound at 22,050 Hz
SHORTEST_S = 1.0
LOUDEST = 1e6  # full scale is 1; the square of far louder samples would overflow
MISSING_S, MISSING_BYTES = 0.1, 4096  # a header may count padding, or the header itself
# A recording this near to the length of a segment is one as it is: GTZAN's have 29.93 to 30.65 s.
NEARLY = 0.95
BLOCK = 1 << 16  # samples decoded at a time: they stay in the cache, a wrong header costs little
STANDARD_ERROR = 2  # file descriptor
NORMALISED_RMS = 0.1  # -20 dB of full scale
UNKNOWN = 1 << 56  # samples; libsndfile has a number beyond for a length that it does not know
HEAD = 1 << 16  # bytes; a picture in front of an MP3 may hide the tag that tells its length
STREAMED = (0, 0xFFFFFFFF)  # sizes in headers of what was written to a pipe: not known


def is_recording(data: bytes) -> bool:
    """True for what begins as WAV, AU, FLAC, OGG and MP3 do, whatever the file is called."""
    if data[:4] == b"RIFF":
        return data[8:12] == b"WAVE"
    return data[:4] in (b"fLaC", b"OggS", b".snd") or data[:3] == b"ID3" or is_mpeg(data)


def is_mpeg(data: bytes) -> bool:
    """True for the header of a frame of MPEG audio (ISO/IEC 11172-3, 2.4.1.3)."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return False
    version, layer, bit_rate, rate = data[1] >> 3 & 3, data[1] >> 1 & 3, data[2] >> 4, data[2] >> 2
    return version != 1 and layer != 0 and bit_rate != 15 and rate & 3 != 3


def decode(data: bytes, sample_rate: int = SAMPLE_RATE) -> Samples:
    """Decode a recording, mix its channels and resample it.

    Parameters
    ----------
    data
        The whole file, up to `MAX_BYTES`: WAV, AU, FLAC, OGG (Vorbis, Opus) or MP3.
    sample_rate
        Of the result, in Hz.

    Returns
    -------
    Shape `[samples]`, float32, 1 being full scale; the mean of all channels, resampled by soxr's
    "HQ" where the file has another rate (as `librosa.load` does).

    Raises
    ------
    DataError
        For what cannot be decoded, is truncated, is shorter than `SHORTEST_S` or longer than
        `LONGEST_S`, is silent throughout, or holds NaN, infinity or samples beyond `LOUDEST`.
    """
    rate, blocks = open_blocks(data)
    parts = list(blocks if rate == sample_rate else resampled(blocks, rate, sample_rate))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def digest_of(data: bytes) -> bytes:
    """What two recordings have in common when they hold the same sound, whatever their formats.

    Sample rate and SHA-256 of the samples in 16 bits, channels mixed and nothing resampled, so
    that no processor's rounding plays a part. Raises `DataError` as `decode` does.
    """
    rate, blocks = open_blocks(data)
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(np.rint(np.clip(block, -1, 1) * 32767).astype("<i2").tobytes())
    return f"{rate} Hz:".encode() + digest.digest()


def resampled(blocks: Iterable[Samples], rate: int, sample_rate: int) -> Iterator[Samples]:
    """Sound at another sample rate, a block at a time."""
    stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def open_blocks(data: bytes) -> tuple[int, Iterator[Samples]]:
    """Sample rate of the file, and the mean of its channels in blocks that have been checked."""
    check_size(data)
    try:
        file = soundfile.SoundFile(io.BytesIO(data))
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise DataError(f"is damaged or truncated ({reason(error)})") from error
    if file.frames > UNKNOWN:
        raise DataError(
            "tells no length in its header, as a FLAC that was written to a pipe; encode it anew"
        )
    if file.frames > LONGEST_S * file.samplerate:
        raise DataError(
            f"lasts {file.frames / file.samplerate:,.0f} s by its header; at most "
            f"{LONGEST_S:,.0f} s are read"
        )
    return file.samplerate, checked(read_blocks(file, data[:HEAD]), file.samplerate)


def checked(blocks: Iterable[Samples], rate: int) -> Iterator[Samples]:
    """The same blocks. Raises `DataError` for what is no sound, or too little of it."""
    n_samples, peak = 0, 0.0
    for block in blocks:
        loudest = float(np.abs(block).max(initial=0.0))
        if not loudest <= LOUDEST:  # NaN is not, either
            what = f"samples of {loudest:g}" if np.isfinite(loudest) else "NaN or infinite samples"
            raise DataError(f"holds {what}; allowed are -{LOUDEST:g} to {LOUDEST:g}")
        n_samples, peak = n_samples + len(block), max(peak, loudest)
        yield block
    seconds = n_samples / rate
    if seconds < SHORTEST_S:
        raise DataError(f"lasts {seconds:.2f} s; at least {SHORTEST_S:g} s are needed")
    if peak == 0:
        raise DataError(f"is silent throughout ({seconds:.1f} s)")


def is_counted(file: soundfile.SoundFile, head: bytes) -> bool:
    """Whether the header says how long the recording is.

    An MP3 without a Xing, Info or VBRI tag does not: there libsndfile estimates from the size of
    the file and its first frames.
    """
    return file.format != "MP3" or any(tag in head for tag in (b"Xing", b"Info", b"VBRI"))


def read_blocks(file: soundfile.SoundFile, head: bytes) -> Iterator[Samples]:
    """The mean of the channels, at most `BLOCK` samples at a time, and close the file.

    `head`: the first bytes of the file. Raises `DataError` when it ends before its header says.
    """
    # Whole numbers are read eight times as fast as libsndfile makes floats of them.
    kind = "int16" if file.subtype == "PCM_16" else "float32"
    found = 0
    with file:
        try:
            while found < file.frames:
                block = file.read(min(BLOCK, file.frames - found), dtype=kind)
                if not len(block):
                    break
                found += len(block)
                yield mono(block)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise DataError(f"is damaged or truncated ({reason(error)})") from error
        if is_counted(file, head) and file.frames - found > MISSING_S * file.samplerate:
            raise DataError(
                f"is truncated: {found / file.samplerate:.1f} s of the "
                f"{file.frames / file.samplerate:.1f} s in its header"
            )


def reason(error: Exception) -> str:
    """What libsndfile says, without the name of our buffer."""
    return str(error).rpartition(": ")[2].strip(" .") or type(error).__name__


def mono(block: npt.NDArray[np.int16] | Samples) -> Samples:
    """The mean of the channels, `[samples]` of `[samples]` or `[samples, channels]`.

    Channel by channel: `mean(axis=1)` takes twenty times as long.
    """
    scale = 1 / 32768 if block.dtype == np.int16 else 1.0
    channels = block.reshape(len(block), -1).T
    if len(channels) == 1:
        with np.errstate(invalid="ignore"):  # a NaN is refused later
            return np.multiply(channels[0], np.float32(scale), dtype=np.float32)
    mixed = np.add(channels[0], channels[1], dtype=np.float32)
    for channel in channels[2:]:
        mixed += channel
    mixed *= np.float32(scale / len(channels))
    return mixed


def check_size(data: bytes) -> None:
    """Refuse what is too large, and a WAV or AU file that ends before its header says."""
    if len(data) > MAX_BYTES:
        raise DataError(f"has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    claimed = claimed_bytes(data)
    if claimed - len(data) > MISSING_BYTES:
        raise DataError(
            f"is truncated: {len(data):,} bytes of the {claimed:,} that its header tells of"
        )


def claimed_bytes(data: bytes) -> int:
    """Size of the file as a WAV or AU header has it; 0 where it does not say."""
    if len(data) < 12:
        return 0
    if data[:4] == b"RIFF":
        size: int = struct.unpack_from("<I", data, 4)[0]
        return 0 if size in STREAMED else size + 8
    if data[:4] == b".snd":
        offset, size = struct.unpack_from(">II", data, 4)
        return 0 if size in STREAMED else offset + size
    return 0


def segment_bounds(n_samples: int, length: int, step: int) -> list[tuple[int, int]]:
    """First sample and end of each segment of a recording; all lie within it.

    Segments of `length` begin every `step` samples. A rest of half a segment or more becomes one
    more segment, which ends with the recording; a shorter rest is joined to the last one, so that
    30.1 s in segments of 30 s are one. A recording of less than a segment is one as it is; `fill`
    repeats it.
    """
    if n_samples <= length:
        return [(0, n_samples)]
    starts = list(range(0, n_samples - length + 1, step))
    rest = n_samples - (starts[-1] + length)
    if 2 * rest >= length:
        starts.append(n_samples - length)
        rest = 0
    return [(start, start + length) for start in starts[:-1]] + [
        (starts[-1], starts[-1] + length + rest)
    ]


def fill(samples: Samples, length: int) -> Samples:
    """Repeat sound to `length` if it is shorter than `NEARLY` of it; it keeps its speed so.

    Silence in its place would be a second sound to learn, and stretching would change the tempo.
    """
    return samples if len(samples) >= NEARLY * length else np.resize(samples, length)


def normalise(samples: Samples) -> Samples:
    """Scale to a root mean square of `NORMALISED_RMS`; silence stays."""
    rms = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
    return samples if rms == 0 else samples * np.float32(NORMALISED_RMS / rms)


def mute_decoders() -> None:
    """Lose what C libraries print on their own; Python's errors still reach the terminal.

    libmpg123, under libsndfile, notes odd frames of an MP3 on the standard error, past every
    progress bar; what matters it returns as an error, too. For a process of the command line.
    """
    try:
        is_terminals = sys.stderr.fileno() == STANDARD_ERROR
    except (OSError, ValueError, AttributeError):
        return  # a test or a notebook has put something else in its place
    if is_terminals:
        sys.stderr = os.fdopen(os.dup(STANDARD_ERROR), "w", buffering=1)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, STANDARD_ERROR)
        os.close(nowhere)
