"""From the bytes of a file to model input: the only way in, in training and in serving."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import soundfile
import soxr
import torch
from PIL import Image
from torch import Tensor

from genre_mlflow.errors import DataError
from genre_mlflow.features import audio
from genre_mlflow.features.border import RemoveBorder
from genre_mlflow.features.colours import levels_of
from genre_mlflow.features.formats import ffmpeg
from genre_mlflow.features.images import decode_spectrogram, pixels_of, to_rgb
from genre_mlflow.features.loudness import is_audible
from genre_mlflow.features.musicnn import as_bytes, musicnn_log_mel, musicnn_patches
from genre_mlflow.features.settings import MUSICNN, UNDONE, PreprocessingSettings
from genre_mlflow.features.spectrogram import FEATURE_MATRIX, render
from genre_mlflow.memory import MemoryShortage, out_of_memory

RECIPE = 6  # raise it whenever this code gives other pixels for the same settings
# Other versions may give other samples and pixels for the same file.
DECODERS = (
    f"Pillow {PIL.__version__}, libsndfile {soundfile.__libsndfile_version__}, "
    f"soxr {soxr.__version__}"
)
MAX_SEGMENTS = 4000  # 200 MB at 128 x 384 levels


@dataclass(frozen=True)
class Segment:
    """A piece of a track as an image, and where it lies in the recording, in seconds.

    A track that came as an image is one segment, whose times nobody knows: 0 to 0.
    """

    image: Image.Image
    start_s: float = 0.0
    end_s: float = 0.0


class Preprocessor:
    """Callable on the bytes of a file or its path: uint8 `[segments, *settings.shape]`.

    An image is one segment, a recording one or more; they are told apart by content, not by name.
    Levels and colours are 0 to 255; the network scales them itself.
    """

    def __init__(self, settings: PreprocessingSettings) -> None:
        self.settings = settings
        self._remove_border = RemoveBorder()

    def __call__(self, source: bytes | str | Path) -> Tensor:
        """Decode, draw what is a recording, take off the border, resize.

        Raises `DataError` for what cannot be decoded; its message says what is the matter
        ("is empty") and leaves the name of the file to the caller.
        """
        return self.timed(source)[0]

    def timed(self, source: bytes | str | Path) -> tuple[Tensor, list[tuple[float, float]]]:
        """The tensor, and the start and end of each segment in seconds."""
        tensors, times = [], []
        with decoding():
            data = read(source)
            if self.settings.features == MUSICNN:
                return self.heard(data)
            for segment in self.segments(data):
                tensors.append(self.prepare(segment.image))
                times.append((segment.start_s, segment.end_s))
            return torch.cat(tensors), times

    def heard(self, data: bytes) -> tuple[Tensor, list[tuple[float, float]]]:
        """The same of a recording that is not drawn. Raises `DataError` for an image."""
        if not audio.is_recording(data):
            raise DataError("is no recording, and this model hears sound alone")
        kept, times = [], []
        for sound, start_s, end_s in self.sounds(data):
            kept.append(self.of_sound(sound))
            times.append((start_s, end_s))
        return torch.cat(kept), times

    def of_sound(self, sound: audio.Samples) -> Tensor:
        """What the network gets of one segment, as `sounds` gives it; `[1, *settings.shape]`."""
        if self.settings.features == MUSICNN:
            patches = musicnn_patches(musicnn_log_mel(sound), self.settings.n_patches)
            return torch.from_numpy(as_bytes(patches)[None])
        return self.prepare(self.draw(sound))

    def segments(self, data: bytes) -> Iterator[Segment]:
        """The images that a file is or is drawn as, before the border is taken off.

        Segments of silence are left out. Raises `DataError` for what cannot be decoded.
        """
        with decoding():
            if not audio.is_recording(data):
                yield Segment(decode_spectrogram(data))
                return
            for sound, start_s, end_s in self.sounds(data):
                yield Segment(self.draw(sound), start_s, end_s)

    def sounds(self, data: bytes) -> Iterator[tuple[audio.Samples, float, float]]:
        """Segments of a recording as they are drawn, and where they lie in it, in seconds."""
        rate = self.settings.spectrogram.sample_rate
        samples = self.decode(data)
        length = round(self.settings.segment_s * rate)
        step = round(self.settings.step_s * rate)
        bounds = audio.segment_bounds(len(samples), length, step)
        if len(bounds) > MAX_SEGMENTS:
            raise DataError(f"has {len(bounds):,} segments; at most {MAX_SEGMENTS:,} are read")
        audible = [b for b in bounds if len(bounds) == 1 or is_audible(samples[slice(*b)], rate)]
        if not audible:
            raise DataError("has no segment with more than a click of sound")
        for start, end in audible:
            yield audio.fill(samples[start:end], length), start / rate, end / rate

    def decode(self, data: bytes) -> audio.Samples:
        """A whole recording at the loudness that is asked for."""
        samples = audio.decode(data, self.settings.spectrogram.sample_rate)
        return audio.normalise(samples) if self.settings.loudness == "normalised" else samples

    def draw(self, sound: audio.Samples) -> Image.Image:
        """The image of one segment."""
        matrix = FEATURE_MATRIX[self.settings.features]
        return render(matrix(sound, self.settings.spectrogram))

    def prepare(self, image: Image.Image) -> Tensor:
        """What follows decoding: border, colours, size. Shape `[1, *settings.shape]`."""
        if self.settings.remove_border:
            image = self._remove_border(image)
        _, height, width = self.settings.shape
        if self.settings.colours == UNDONE:
            levels = Image.fromarray(levels_of(image)[0])
            # Means of whole cells: each of 385 rows of pixels stays within its mel band.
            resized = np.array(levels.resize((width, height), Image.Resampling.BOX))[None]
        else:
            rgb = to_rgb(image).resize((width, height), Image.Resampling.BILINEAR)  # antialiased
            resized = np.array(rgb).transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(resized)).unsqueeze(0)


def further_decoders(formats: Iterable[str]) -> list[str]:
    """What decodes files of these formats beside `DECODERS`: mostly nothing, else ffmpeg.

    Only where such a file is there does its version matter, and is it asked for. Raises
    `DataError` for a program that does not answer.
    """
    return [f"ffmpeg {ffmpeg.version()}"] if ffmpeg.CONTAINERS.keys() & set(formats) else []


def read(source: bytes | str | Path) -> bytes:
    """The bytes of a file, or the bytes given."""
    if isinstance(source, bytes):
        return source
    try:
        size = os.stat(source).st_size
        if size > audio.MAX_BYTES:
            raise DataError(f"has {size:,} bytes; at most {audio.MAX_BYTES:,} are read")
        with decoding():
            return Path(source).read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error


def content_of(data: bytes) -> bytes:
    """What two files have in common exactly when they show or sound the same: pixels or samples.

    Of a recording it is the digest of all samples, in 16 bits, mixed to one channel, at the rate
    of the file. Raises `DataError` for what cannot be decoded.
    """
    with decoding():
        if not audio.is_recording(data):
            return pixels_of(decode_spectrogram(data))
        return audio.digest_of(data)


@contextmanager
def decoding() -> Iterator[None]:
    """Let a file that needs too much memory be one that cannot be decoded: `DataError`."""
    try:
        with out_of_memory("cpu", "free some, or make the file smaller"):
            yield
    except MemoryShortage as error:
        raise DataError(f"cannot be decoded: {error}") from error
