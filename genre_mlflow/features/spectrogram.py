"""Log-mel spectrograms of sound, and their magma images.

numpy alone, in librosa's arithmetic: importing librosa and its first spectrogram take seconds,
which a served model or the demo corpus would pay at every start. The tests hold the two together.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from genre_mlflow.errors import DataError, SettingsError

IMAGE_WIDTH = 387
IMAGE_HEIGHT = 385
N_COLOURS = 256

# Slaney's mel scale: linear below 1 kHz, 27 steps to a factor of 6.4 above it.
SLANEY_KNEE_HZ = 1000.0
SLANEY_HZ_PER_MEL = 200.0 / 3.0
SLANEY_KNEE_MEL = SLANEY_KNEE_HZ / SLANEY_HZ_PER_MEL  # 15 mel
SLANEY_LOG_STEP = np.log(6.4) / 27.0

MIN_POWER = 1e-10  # keeps the logarithm finite in silence, as librosa.power_to_db does
FRAMES_PER_BLOCK = 128  # 2 MB of windowed frames at a time: they stay in the cache


@dataclass(frozen=True)
class SpectrogramSettings:
    """How sound becomes a log-mel matrix; saved beside the weights that were trained on it.

    `sample_rate`, `fmin` and `fmax` are in Hz, `n_fft` and `hop_length` in samples, `top_db` in
    decibels. `fmax=None` is half the sample rate. Raises `SettingsError` for values out of range.
    """

    sample_rate: int = 22_050
    n_fft: int = 2048  # 93 ms
    hop_length: int = 512  # 23 ms
    n_mels: int = 128
    fmin: float = 0.0
    fmax: float | None = None
    top_db: float = 80.0

    def __post_init__(self) -> None:
        """Refuse what cannot give a spectrogram."""
        for name, lowest in (("sample_rate", 1), ("n_fft", 2), ("hop_length", 1), ("n_mels", 1)):
            _check_integer(name, getattr(self, name), lowest)
        nyquist_hz = self.sample_rate / 2
        if not 0 <= self.fmin < nyquist_hz:
            raise SettingsError(f"fmin is {self.fmin} Hz; allowed: 0 to below {nyquist_hz} Hz")
        if self.fmax is not None and not self.fmin < self.fmax <= nyquist_hz:
            raise SettingsError(
                f"fmax is {self.fmax} Hz; allowed: above fmin ({self.fmin} Hz), up to {nyquist_hz}"
                " Hz, or None for half the sample rate"
            )
        if not 0 < self.top_db < np.inf:
            raise SettingsError(f"top_db is {self.top_db}; allowed: above 0 dB, finite")

    @property
    def highest_hz(self) -> float:
        """Upper edge of the highest mel band, in Hz."""
        return self.sample_rate / 2 if self.fmax is None else self.fmax


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
    settings = settings or SpectrogramSettings()
    if samples.ndim != 1 or samples.size == 0:
        raise DataError(
            f"sound of shape {list(samples.shape)}; a spectrogram needs one channel, [samples]"
        )
    if not np.isfinite(samples).all():
        raise DataError("the sound holds NaN or infinity; a spectrogram needs finite samples")
    power = np.maximum(_mel_power(samples, settings), MIN_POWER)
    # All in double precision and rounded here: sums and logarithms in single precision differ in
    # the last bit between processors and thread counts, enough to move a pixel by a colour.
    decibels = 10 * np.log10(power).astype(np.float32)
    decibels -= decibels.max()
    return np.maximum(decibels, np.float32(-settings.top_db))


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
    _check_integer("width", width, 1)
    _check_integer("height", height, 1)
    indices = _colour_indices(log_mel)
    n_mels, n_frames = indices.shape
    # In whole numbers, so that no rounding moves a pixel. The axes of that figure are half a
    # pixel wider than its image, hence 2 * width + 1.
    columns = (2 * np.arange(width) + 1) * n_frames // (2 * width + 1)
    rows = (2 * np.arange(height)[::-1] + 1) * n_mels // (2 * height)
    image = Image.fromarray(indices[rows[:, None], columns])
    image.putpalette(_magma_palette())
    return image


def _mel_power(samples: npt.NDArray[Any], settings: SpectrogramSettings) -> npt.NDArray[np.float64]:
    """Power in each mel band, `[n_mels, frames]`; the sound is padded with silence at both ends."""
    padded = np.pad(samples.astype(np.float32, copy=False), settings.n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, settings.n_fft)
    frames = frames[:: settings.hop_length]
    window, bands = _hann_window(settings.n_fft), _mel_bands(settings)
    power = np.empty((settings.n_mels, len(frames)))
    for start in range(0, len(frames), FRAMES_PER_BLOCK):
        block = slice(start, start + FRAMES_PER_BLOCK)
        spectrum = np.fft.rfft(frames[block] * window)
        power[:, block] = bands @ (spectrum.real**2 + spectrum.imag**2).T
    return power


@cache
def _hann_window(length: int) -> npt.NDArray[np.float64]:
    """Periodic Hann window, `[length]`."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


@cache
def _mel_bands(settings: SpectrogramSettings) -> npt.NDArray[np.float64]:
    """Triangular bands of equal area, `[n_mels, 1 + n_fft // 2]` (librosa.filters.mel, Slaney)."""
    low_mel, high_mel = _hz_to_mel(settings.fmin), _hz_to_mel(settings.highest_hz)
    edges_hz = _mel_to_hz(np.linspace(low_mel, high_mel, settings.n_mels + 2))
    bins_hz = np.fft.rfftfreq(settings.n_fft, 1 / settings.sample_rate)
    above_edge = bins_hz - edges_hz[:, None]
    widths_hz = np.diff(edges_hz)[:, None]
    rising = above_edge[:-2] / widths_hz[:-1]
    falling = -above_edge[2:] / widths_hz[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    areas = (edges_hz[2:] - edges_hz[:-2])[:, None] / 2
    return triangles / areas


def _hz_to_mel(hz: float) -> float:
    if hz < SLANEY_KNEE_HZ:
        return hz / SLANEY_HZ_PER_MEL
    return float(SLANEY_KNEE_MEL + np.log(hz / SLANEY_KNEE_HZ) / SLANEY_LOG_STEP)


def _mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above_knee = np.maximum(mel - SLANEY_KNEE_MEL, 0)  # no overflow in the branch not taken
    return np.where(
        mel < SLANEY_KNEE_MEL,
        mel * SLANEY_HZ_PER_MEL,
        SLANEY_KNEE_HZ * np.exp(SLANEY_LOG_STEP * above_knee),
    )


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


def _check_integer(name: str, value: object, lowest: int) -> None:
    if not isinstance(value, int) or value < lowest:
        raise SettingsError(f"{name} is {value!r}; allowed: a whole number of {lowest} or more")
