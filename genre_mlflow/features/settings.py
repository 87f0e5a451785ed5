"""Settings of the preprocessor, saved beside the weights of every model."""

import math
from dataclasses import dataclass

from genre_mlflow.errors import SettingsError

MIN_IMAGE_SIZE = 32  # five poolings leave one pixel
FEATURES = ("mel", "mfcc", "chroma")
LOUDNESS = ("as-is", "normalised")
SAMPLE_RATE = 22_050  # Hz; recordings of any other rate are resampled to it
LONGEST_SEGMENT_S = 600.0
IMAGE_FIELDS = ("image_size", "remove_border")  # of `PreprocessingSettings`; the rest is of sound


@dataclass(frozen=True)
class SpectrogramSettings:
    """How sound becomes a log-mel matrix; saved beside the weights that were trained on it.

    `sample_rate`, `fmin` and `fmax` are in Hz, `n_fft` and `hop_length` in samples, `top_db` in
    decibels. `fmax=None` is half the sample rate. Raises `SettingsError` for values out of range.
    """

    sample_rate: int = SAMPLE_RATE
    n_fft: int = 2048  # 93 ms
    hop_length: int = 512  # 23 ms
    n_mels: int = 128
    fmin: float = 0.0
    fmax: float | None = None
    top_db: float = 80.0

    def __post_init__(self) -> None:
        """Refuse what cannot give a spectrogram."""
        for name, lowest in (("sample_rate", 1), ("n_fft", 2), ("hop_length", 1), ("n_mels", 1)):
            check_integer(name, getattr(self, name), lowest)
        nyquist_hz = self.sample_rate / 2
        if not 0 <= self.fmin < nyquist_hz:
            raise SettingsError(f"fmin is {self.fmin} Hz; allowed: 0 to below {nyquist_hz} Hz")
        if self.fmax is not None and not self.fmin < self.fmax <= nyquist_hz:
            raise SettingsError(
                f"fmax is {self.fmax} Hz; allowed: above fmin ({self.fmin} Hz), up to {nyquist_hz}"
                " Hz, or None for half the sample rate"
            )
        if not 0 < self.top_db < math.inf:
            raise SettingsError(f"top_db is {self.top_db}; allowed: above 0 dB, finite")

    @property
    def highest_hz(self) -> float:
        """Upper edge of the highest mel band, in Hz."""
        return self.sample_rate / 2 if self.fmax is None else self.fmax


@dataclass(frozen=True)
class PreprocessingSettings:
    """How an image or a recording becomes a tensor.

    `image_size`: height and width of the tensor, in pixels. `remove_border`: take off the uniform
    frame that plotting leaves around a spectrogram.

    For recordings alone. `features`: what their images show; `segment_s`, `hop_s`: length of a
    segment and distance from one to the next, in seconds (`hop_s=0`: as long as a segment, so that
    they do not overlap); `loudness`: `normalised` scales each recording to one loudness;
    `n_fft`, `hop_length` (samples at 22,050 Hz), `n_mels`, `fmin`, `fmax` (Hz; `fmax=0`: half the
    sample rate), `top_db`: as in `SpectrogramSettings`.
    """

    image_size: int = 224
    remove_border: bool = True
    features: str = "mel"
    segment_s: float = 30.0
    hop_s: float = 0.0
    loudness: str = "as-is"
    n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 128
    fmin: float = 0.0
    fmax: float = 0.0
    top_db: float = 80.0

    def __post_init__(self) -> None:
        if not MIN_IMAGE_SIZE <= self.image_size <= 1024:
            raise SettingsError(
                f"image_size is {self.image_size}; allowed are {MIN_IMAGE_SIZE} to 1024 pixels"
            )
        for name, choices in (("features", FEATURES), ("loudness", LOUDNESS)):
            if getattr(self, name) not in choices:
                raise SettingsError(
                    f"{name} is {getattr(self, name)!r}; allowed are {', '.join(choices)}"
                )
        if not 1 <= self.segment_s <= LONGEST_SEGMENT_S:
            raise SettingsError(
                f"segment_s is {self.segment_s:g} s; allowed are 1 to {LONGEST_SEGMENT_S:g} s"
            )
        if self.hop_s != 0 and not 0.1 <= self.hop_s <= self.segment_s:
            raise SettingsError(
                f"hop_s is {self.hop_s:g} s; allowed are 0.1 s to segment_s ({self.segment_s:g} s),"
                " or 0 for as long as a segment"
            )
        for name, highest in (("n_fft", 16_384), ("hop_length", 16_384), ("n_mels", 1024)):
            if getattr(self, name) > highest:
                raise SettingsError(f"{name} is {getattr(self, name)}; allowed: up to {highest}")
        _ = self.spectrogram  # raises for what is out of range there

    @property
    def spectrogram(self) -> SpectrogramSettings:
        """The part that a spectrogram is made with."""
        return SpectrogramSettings(
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            n_mels=self.n_mels,
            fmin=self.fmin,
            fmax=self.fmax or None,
            top_db=self.top_db,
        )

    @property
    def step_s(self) -> float:
        """Seconds from the start of one segment to the start of the next."""
        return self.hop_s or self.segment_s


def check_integer(name: str, value: object, lowest: int) -> None:
    """Raise `SettingsError` for what is no whole number of `lowest` or more."""
    if not isinstance(value, int) or value < lowest:
        raise SettingsError(f"{name} is {value!r}; allowed: a whole number of {lowest} or more")
