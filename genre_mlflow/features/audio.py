"""From the bytes of a recording to mono sound at one sample rate, and to its segments."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from genre_mlflow.errors import DataError
from genre_mlflow.features.formats import ffmpeg
from genre_mlflow.features.formats.in_memory import Bytes, in_memory
from genre_mlflow.features.formats.kinds import is_image, kind_of, without_tags
from genre_mlflow.features.formats.streams import streams
from genre_mlflow.features.loudness import Heard
from genre_mlflow.features.settings import SAMPLE_RATE

Samples = npt.NDArray[np.float32]
Block = npt.NDArray[np.int16] | Samples  # `[samples]` or `[samples, channels]`

MAX_BYTES = 1_000_000_000  # an hour of stereo at 44.1 kHz and 24 bits is 0.95 GB
LONGEST_S = 3600.0  # 318 MB of mono sound at 22,050 Hz
SHORTEST_S = 1.0
LOUDEST = 1e6  # full scale is 1; the square of far louder samples would overflow
MISSING_S = 0.1  # a header may count padding
FRAMES_S = 0.25  # and that of a coded recording a few of its frames
# A recording this near to the length of a segment is one as it is: GTZAN's have 29.93 to 30.65 s.
NEARLY = 0.95
BLOCK = 1 << 16  # samples decoded at a time: they stay in the cache, a wrong header costs little
ROOM = 1 << 20  # samples that there is room for at first, 47 s at 22,050 Hz; it grows
NORMALISED_RMS = 0.1  # -20 dB of full scale
HEAD = 1 << 16  # bytes that tell most recordings from anything else
UNKNOWN = 1 << 56  # samples; libsndfile has a number beyond for a length that it does not know


def is_recording(data: bytes) -> bool:
    """True for what is in a known format by its content, whatever the file is called.

    Some formats are read only where there is ffmpeg; elsewhere reading them says so.
    """
    return bool(kind_of(data))


def is_recording_file(path: Path, whole: bool = True) -> bool:
    """The same of a file, of which mostly the head is read. Raises `OSError`.

    `whole`: read all of one whose head tells nothing; a file of 1 GB takes its time.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
        if not whole or is_recording(head) or is_image(head) or len(head) < HEAD:
            return is_recording(head)
        if path.stat().st_size > MAX_BYTES:
            return False
        return is_recording(head + file.read())  # frames may begin behind anything


def decode(data: bytes, sample_rate: int = SAMPLE_RATE) -> Samples:
    """Decode a recording, mix its channels and resample it.

    Parameters
    ----------
    data
        The whole file, up to `MAX_BYTES`, in a format that `kinds.kind_of` knows.
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
    return joined(blocks if rate == sample_rate else resampled(blocks, rate, sample_rate))


def joined(blocks: Iterable[Samples]) -> Samples:
    """The blocks as one array, each copied once and let go: fresh memory costs more than that."""
    kept, n_kept = np.empty(ROOM, np.float32), 0
    for block in blocks:
        end = n_kept + len(block)
        if end > len(kept):
            kept = np.concatenate([kept[:n_kept], np.empty(max(end, n_kept), np.float32)])
        kept[n_kept:end] = block
        n_kept = end
    return kept[:n_kept]


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
    if len(data) > MAX_BYTES:
        raise DataError(f"has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    data = without_tags(data)
    kind = kind_of(data)
    if kind in ffmpeg.CONTAINERS:
        return open_with_ffmpeg(data, kind)
    files = [open_stream(stream, kind) for stream in streams(data, kind)]
    rates = sorted({file.samplerate for file in files})
    if len(rates) > 1:
        raise DataError(
            f"is a chained {kind} whose parts have {' and '.join(f'{r:,}' for r in rates)} Hz; "
            "encode it anew, or split it"
        )
    check_length(sum(file.frames for file in files) / rates[0])
    return rates[0], checked(chain.from_iterable(map(read_blocks, files)), rates[0])


def check_length(seconds: float) -> None:
    """Refuse from the header alone what is too long."""
    if seconds > LONGEST_S:
        raise DataError(
            f"lasts {seconds:,.0f} s by its header; at most {LONGEST_S:,.0f} s are read"
        )


def open_with_ffmpeg(data: bytes, kind: str) -> tuple[int, Iterator[Samples]]:
    """The same of what libsndfile does not read."""
    told = ffmpeg.seconds_told(data, kind)
    check_length(told)
    pairs = ffmpeg.decoded(data, kind, BLOCK)
    rate, first = next(pairs)
    blocks = chain([first], (block for _, block in pairs))
    return rate, checked(whole(blocks, rate, told), rate)


def whole(blocks: Iterable[Samples], rate: int, told: float) -> Iterator[Samples]:
    """The blocks. Raises `DataError` if they are too many, or fewer than the header has `told`."""
    seconds = 0.0
    for block in blocks:
        seconds += len(block) / rate
        if seconds > LONGEST_S:
            raise DataError(f"lasts longer than {LONGEST_S:,.0f} s, which is the most that is read")
        yield block
    if told - seconds > FRAMES_S:
        raise DataError(
            f"is damaged or truncated: {seconds:.1f} s of the {told:.1f} s in its header are there"
        )


def open_stream(data: bytes, kind: str = "") -> soundfile.SoundFile:
    """What libsndfile makes of a stream, before any sample is read."""
    try:
        # libmpg123 asks for each frame by itself; by calls back to Python that is a sixth of all.
        file = soundfile.SoundFile(in_memory(data) if kind == "MP3" else Bytes(data))
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise DataError(f"is damaged or truncated ({reason(error)})") from error
    if file.frames > UNKNOWN:
        raise DataError("tells no length that can be found; encode it anew")
    return file


def checked(blocks: Iterable[Block], rate: int) -> Iterator[Samples]:
    """The mean of the channels. Raises `DataError` for what is no sound, or too little of it."""
    n_samples, heard = 0, Heard(rate)
    for block in blocks:
        mixed = mono(block)
        known = block.dtype == np.int16  # whole numbers of 16 bits are within full scale
        lowest, highest = (0.0, 0.0) if known or not len(mixed) else (mixed.min(), mixed.max())
        if not (lowest >= -LOUDEST and highest <= LOUDEST):  # NaN is not, either
            loudest = float(max(-lowest, highest))
            what = f"samples of {loudest:g}" if np.isfinite(loudest) else "NaN or infinite samples"
            raise DataError(f"holds {what}; allowed are -{LOUDEST:g} to {LOUDEST:g}")
        n_samples += len(mixed)
        heard.listen(block, mixed)
        yield mixed
    seconds = n_samples / rate
    if seconds < SHORTEST_S:
        raise DataError(f"lasts {seconds:.2f} s; at least {SHORTEST_S:g} s are needed")
    heard.check(seconds)


def read_blocks(file: soundfile.SoundFile) -> Iterator[Block]:
    """The samples, at most `BLOCK` of each channel at a time, and close the file.

    All blocks lie in the same memory: what is to be kept of one has to be copied.
    Raises `DataError` when it ends before its header says.
    """
    # Whole numbers are read eight times as fast as libsndfile makes floats of them.
    kind = "int16" if file.subtype == "PCM_16" else "float32"
    found, room = 0, np.empty((min(BLOCK, file.frames), file.channels), kind)
    with file:
        try:
            while found < file.frames:
                block = file.read(out=room[: file.frames - found])
                if not len(block):
                    break
                found += len(block)
                yield block
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise DataError(f"is damaged or truncated ({reason(error)})") from error
        if file.frames - found > MISSING_S * file.samplerate:
            raise DataError(
                f"is truncated: {found / file.samplerate:.1f} s of the "
                f"{file.frames / file.samplerate:.1f} s in its header"
            )


def reason(error: Exception) -> str:
    """What libsndfile says, without the name of our buffer."""
    return str(error).rpartition(": ")[2].strip(" .") or type(error).__name__


def mono(block: Block) -> Samples:
    """The mean of the channels, `[samples]` of `[samples]` or `[samples, channels]`.

    Channel by channel: `mean(axis=1)` takes twenty times as long.
    """
    scale = 1 / 32768 if block.dtype == np.int16 else 1.0
    # First all numbers to floats, then sums: a sum that does both takes twice as long.
    channels = block.reshape(len(block), -1).astype(np.float32, copy=False).T
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity are refused later
        mixed = channels[0] + channels[1] if len(channels) > 1 else channels[0]
        for channel in channels[2:]:
            mixed += channel
        return mixed * np.float32(scale / len(channels))


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
