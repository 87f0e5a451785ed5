"""Log-mel spectrograms, MFCCs and chromagrams of sound, and their magma images.

In librosa's arithmetic, but for chroma without librosa: its import and first spectrogram take
seconds, which a served model or the demo corpus would pay at every start, and its spectrogram
takes three times as long as this one. The tests hold the two together.
"""

import threading
from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.fft import dct

from genre_mlflow.errors import DataError
from genre_mlflow.features.mel import mel_power
from genre_mlflow.features.settings import MUSICNN, SpectrogramSettings, check_integer
from genre_mlflow.features.threads import one_thread
from genre_mlflow.files.locks import alone

IMAGE_WIDTH = 387
IMAGE_HEIGHT = 385
N_COLOURS = 256

MIN_POWER = 1e-10  # keeps the logarithm finite in silence, as librosa.power_to_db does
N_MFCC = 20  # coefficients, librosa's default
# Set when librosa's chroma has been called in this process. Its first call compiles, or loads what
# another process has compiled, by numba, whose cache two of them at once can damage so that the
# next call is to nowhere, a crash (numba 0.68; three fresh processes: two of eight times).
compiled = threading.Event()


def log_mel(
    samples: npt.NDArray[Any], settings: SpectrogramSettings | None = None
) -> npt.NDArray[np.float32]:
    """Turn mono sound into a log-mel matrix, in dB relative to its loudest cell.

    Parameters
    ----------
    samples
        Shape `[samples]`, at `settings.sample_rate`; any scale, for the result is relative.

    Returns
    -------
    Shape `[n_mels, 1 + samples // hop_length]`, float32, from `-top_db` to 0; row 0 is the
    lowest band. Silence is 0 everywhere.

    Raises
    ------
    DataError
        If the samples are not one channel, are empty or hold NaN or infinity.

    Notes
    -----
    As `librosa.power_to_db(librosa.feature.melspectrogram(...), ref=numpy.max)` of librosa 0.11.
    """
    decibels = _decibels(samples, settings or SpectrogramSettings())
    decibels -= decibels.max()
    return decibels


def mfcc(
    samples: npt.NDArray[Any], settings: SpectrogramSettings | None = None
) -> npt.NDArray[np.float32]:
    """Mel-frequency cepstral coefficients, `[20, frames]`, row 0 the loudness.

    As `librosa.feature.mfcc` with its defaults: the orthonormal DCT-II of the log-mel matrix, in
    dB relative to full scale. Takes and raises what `log_mel` does.
    """
    decibels = _decibels(samples, settings or SpectrogramSettings())
    return dct(decibels, axis=0, type=2, norm="ortho")[:N_MFCC]


def chroma(
    samples: npt.NDArray[Any], settings: SpectrogramSettings | None = None
) -> npt.NDArray[np.float32]:
    """Energy of the twelve pitch classes, `[12, frames]`, 0 to 1 in each frame, row 0 being C.

    It is `librosa.feature.chroma_stft`, which estimates the tuning first; librosa is imported
    when this is called. Takes and raises what `log_mel` does; `n_mels`, `fmin`, `fmax` and
    `top_db` play no part.
    """
    settings = settings or SpectrogramSettings()
    check_sound(samples)
    with nullcontext() if compiled.is_set() else alone("librosa"):
        import librosa

        found: npt.NDArray[np.float32] = librosa.feature.chroma_stft(
            y=samples.astype(np.float32, copy=False),
            sr=settings.sample_rate,
            n_fft=settings.n_fft,
            hop_length=settings.hop_length,
        )
        compiled.set()
    return found


# As people see them: what musicnn hears is drawn for them alone.
FEATURE_MATRIX = {"mel": log_mel, "mfcc": mfcc, "chroma": chroma, MUSICNN: log_mel}


def render(
    log_mel: npt.NDArray[Any], width: int = IMAGE_WIDTH, height: int = IMAGE_HEIGHT
) -> Image.Image:
    """Draw a log-mel matrix in magma, low frequencies at the bottom.

    Parameters
    ----------
    log_mel
        Shape `[n_mels, frames]`, finite; its minimum becomes the first colour, its maximum the
        last. A constant matrix is all first colour.
    width, height
        Size of the image in pixels, 1 or more.

    Returns
    -------
    Image in palette mode: the pixels are colour indices, `convert("RGB")` gives the colours.

    Raises
    ------
    DataError
        If the matrix is not two-dimensional, is empty or holds NaN or infinity.
    SettingsError
        If the size is not positive.

    Notes
    -----
    The closed form of `librosa.display.specshow` on a 5x5 inch figure at 100 dpi, axes off, saved
    without padding: the recipe of the GTZAN mel-spectrogram images.
    """
    if log_mel.ndim != 2 or log_mel.size == 0 or not np.isfinite(log_mel).all():
        raise DataError(
            f"log-mel matrix of shape {list(log_mel.shape)}; an image needs [n_mels, frames],"
            " not empty, all finite"
        )
    check_integer("width", width, 1)
    check_integer("height", height, 1)
    indices = _colour_indices(log_mel)
    n_mels, n_frames = indices.shape
    # In whole numbers, so that no rounding moves a pixel. The axes of that figure are half a
    # pixel wider than its image, hence 2 * width + 1.
    columns = (2 * np.arange(width) + 1) * n_frames // (2 * width + 1)
    rows = (2 * np.arange(height)[::-1] + 1) * n_mels // (2 * height)
    image = Image.fromarray(indices[rows[:, None], columns])
    image.putpalette(_magma_palette())
    return image


def check_sound(samples: npt.NDArray[Any]) -> None:
    """Raise `DataError` for what no spectrogram can be made of."""
    if samples.ndim != 1 or samples.size == 0:
        raise DataError(
            f"sound of shape {list(samples.shape)}; a spectrogram needs one channel, [samples]"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        total = samples.sum()  # in a third of the time; that of huge samples may be infinite
    if not np.isfinite(total) and not np.isfinite(samples).all():
        raise DataError("the sound holds NaN or infinity; a spectrogram needs finite samples")


def _decibels(samples: npt.NDArray[Any], settings: SpectrogramSettings) -> npt.NDArray[np.float32]:
    """Log-mel matrix relative to full scale, `[n_mels, frames]`, at most `top_db` deep."""
    check_sound(samples)
    decibels = mel_power(samples, settings)
    # In place: memory that nobody has used yet costs as much as what is done in it.
    np.maximum(decibels, np.float32(MIN_POWER), out=decibels)
    with one_thread():
        torch.from_numpy(decibels).log10_()  # in a quarter of numpy's time
    decibels *= 10
    return np.maximum(decibels, decibels.max() - np.float32(settings.top_db), out=decibels)


def _colour_indices(log_mel: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Scale to 0..255 between the matrix's own minimum and maximum, `[n_mels, frames]`."""
    lowest, highest = log_mel.min(), log_mel.max()
    if highest == lowest:
        return np.zeros(log_mel.shape, np.uint8)
    scaled = N_COLOURS * ((log_mel - lowest) / (highest - lowest))
    return np.minimum(scaled, N_COLOURS - 1).astype(np.uint8)


@cache
def _magma_palette() -> bytes:
    """256 colours of 3 bytes, rounded (matplotlib's own byte table truncates)."""
    import matplotlib

    colours = matplotlib.colormaps["magma"](np.arange(N_COLOURS))[:, :3]
    return np.floor(255 * colours + 0.5).astype(np.uint8).tobytes()
