"""Settings of the preprocessor, saved beside the weights of every model."""

from dataclasses import dataclass, replace
from typing import Self

from genre_mlflow.errors import SettingsError
from genre_mlflow.settings import Settings, option

MIN_IMAGE_SIZE, MAX_IMAGE_SIZE = 32, 1024  # pixels; five poolings leave one of 32
COLUMNS_PER_ROW = 3  # of the network's input, unless told: 30 s in 384 columns, 128 bands
UNDONE, KEPT = COLOURS = ("undone", "kept")
MUSICNN = "musicnn"
DRAWN = ("mel", "mfcc", "chroma")
FEATURES = (*DRAWN, MUSICNN)
LOUDNESS = ("as-is", "normalised")
SAMPLE_RATE = 22_050  # Hz; recordings of any other rate are resampled to it
LONGEST_SEGMENT_S = 600.0
Shape = tuple[int, int, int]  # channels, height and width of a network's input
IMAGE_FIELDS = (
    "image_size",
    "image_width",
    "colours",
    "remove_border",
)  # of `PreprocessingSettings`; the rest is of sound


@dataclass(frozen=True)
class SpectrogramSettings(Settings):
    """How sound becomes a log-mel matrix; saved beside the weights that were trained on it.

    `sample_rate`, `fmin` and `fmax` are in Hz, `n_fft` and `hop_length` in samples, `top_db` in
    decibels. `fmax=0` is half the sample rate. Raises `SettingsError` for values out of range.
    """

    sample_rate: int = SAMPLE_RATE
    n_fft: int = option(
        2048, "Window of the spectrogram, in samples at 22,050 Hz.", low=2, high=16_384
    )  # 93 ms
    hop_length: int = option(
        512, "Samples from one window to the next.", low=1, high=16_384
    )  # 23 ms
    n_mels: int = option(128, "Mel bands.", low=1, high=1024)
    fmin: float = option(0.0, "Lower edge of the lowest mel band, in Hz.", unit="Hz", low=0)
    fmax: float = option(
        0.0, "Upper edge of the highest mel band, in Hz; 0: 11,025.", unit="Hz", low=0
    )
    top_db: float = option(
        80.0, "Depth of the spectrogram, in dB below its loudest cell.", unit="dB", above=0
    )

    def __post_init__(self) -> None:
        """Refuse what cannot give a spectrogram."""
        super().__post_init__()
        nyquist_hz = self.sample_rate / 2
        if self.sample_rate < 1:
            raise SettingsError(f"sample_rate is {self.sample_rate}; allowed are 1 Hz or more")
        if not self.fmin < nyquist_hz:
            raise SettingsError(f"fmin is {self.fmin} Hz; allowed are 0 to below {nyquist_hz} Hz")
        if self.fmax and not self.fmin < self.fmax <= nyquist_hz:
            raise SettingsError(
                f"fmax is {self.fmax} Hz; allowed are values above fmin ({self.fmin} Hz) up to "
                f"{nyquist_hz} Hz, or 0 for half the sample rate"
            )

    @property
    def highest_hz(self) -> float:
        """Upper edge of the highest mel band, in Hz."""
        return self.fmax or self.sample_rate / 2


# What musicnn (Pons and Serra 2019) was trained on, patches of 3 s; of 30 s it gets four.
MUSICNN_SPECTROGRAM = SpectrogramSettings(sample_rate=16_000, n_fft=512, hop_length=256, n_mels=96)
PATCH_FRAMES, PATCH_EVERY_S = 187, 7.5


@dataclass(frozen=True)
class PreprocessingSettings(SpectrogramSettings):
    """How an image or a recording becomes a tensor.

    `image_size`: height of the tensor, in pixels; `image_width`: its width (0: three times the
    height). `colours`: `undone`, one channel of levels, linear in dB; `kept`, red, green and blue.
    The rest is for recordings alone: `features`, what is drawn of them (`musicnn`: nothing, its
    matrix is kept as numbers, and images are refused); `segment_s`, `hop_s` are the length of a
    segment and the distance from one to the next, in seconds (`hop_s=0`: as long as a segment, so
    that they do not overlap).
    """

    image_size: int = option(
        128, "Height of the network's input, in pixels.",
        unit="pixels", low=MIN_IMAGE_SIZE, high=MAX_IMAGE_SIZE,
    )  # fmt: skip
    image_width: int = option(
        0, f"Width of the network's input, in pixels; 0: {COLUMNS_PER_ROW} times its height.",
        unit="pixels", low=0, high=COLUMNS_PER_ROW * MAX_IMAGE_SIZE,
    )  # fmt: skip
    colours: str = option(
        UNDONE, "Undo an image's colour map to one channel of dB, or keep its colours.",
        choices=COLOURS,
    )  # fmt: skip
    remove_border: bool = option(True, "Take off the uniform frame around a spectrogram.")
    features: str = option(
        "mel",
        "What the images of recordings show; musicnn: no images, for that network alone.",
        choices=FEATURES,
    )
    segment_s: float = option(
        30.0, "Seconds of a recording in one image.", unit="s", low=1, high=LONGEST_SEGMENT_S
    )
    hop_s: float = option(
        0.0, "Seconds from one segment to the next; 0: --segment-s.", unit="s", low=0
    )
    loudness: str = option(
        "as-is",
        "Scale recordings to one loudness; matters to almost silent ones, and to MFCCs.",
        choices=LOUDNESS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.image_width < MIN_IMAGE_SIZE:
            raise SettingsError(
                f"image_width is {self.image_width}; allowed are {MIN_IMAGE_SIZE} to "
                f"{COLUMNS_PER_ROW * MAX_IMAGE_SIZE} pixels, or 0 for {COLUMNS_PER_ROW} times the "
                "height"
            )
        if self.features == MUSICNN:
            self.check_own()
        if self.hop_s != 0 and not 0.1 <= self.hop_s <= self.segment_s:
            raise SettingsError(
                f"hop_s is {self.hop_s:g} s; allowed are 0.1 s to segment_s ({self.segment_s:g} s),"
                " or 0 for as long as a segment"
            )

    def check_own(self) -> None:
        """Refuse settings of pictures where none are drawn. Raises `SettingsError`."""
        for name in ("n_fft", "hop_length", "n_mels", "fmin", "fmax", "top_db", *IMAGE_FIELDS):
            value, default = getattr(self, name), self.__dataclass_fields__[name].default
            if value != default:
                raise SettingsError(
                    f"{name} is {value}, but features {MUSICNN} has windows, bands and frames of "
                    "its own; leave it out"
                )

    def check_drawn(self) -> None:
        """Refuse features that are never drawn where a picture is asked for.

        Raises `SettingsError`.
        """
        if self.features == MUSICNN:
            raise SettingsError(
                f"features {MUSICNN} are never drawn; allowed are {', '.join(DRAWN)}"
            )

    @property
    def spectrogram(self) -> SpectrogramSettings:
        """How sound is turned into the matrix that is drawn or kept."""
        return MUSICNN_SPECTROGRAM if self.features == MUSICNN else self

    @property
    def n_patches(self) -> int:
        """Patches of musicnn in a segment."""
        return max(1, round(self.segment_s / PATCH_EVERY_S))

    @property
    def shape(self) -> Shape:
        """Channels, height and width of the tensor of a segment."""
        if self.features == MUSICNN:  # the higher and the lower byte of each number
            return 2, self.spectrogram.n_mels, self.n_patches * PATCH_FRAMES
        channels = 1 if self.colours == UNDONE else 3
        return channels, self.image_size, self.image_width or COLUMNS_PER_ROW * self.image_size

    @property
    def step_s(self) -> float:
        """Seconds from the start of one segment to the start of the next."""
        return self.hop_s or self.segment_s


@dataclass(frozen=True)
class AugmentationSettings(Settings):
    """How the pictures that are learnt from are changed, each anew in each epoch; 0: not at all.

    `variants`: of a recording so many are made once, its sound stretched and shifted; each epoch
    takes one of them, or the recording as it is.
    """

    time_stretch: float = option(
        0.0, "Stretch or squeeze the time of what is learnt from, by up to this share.",
        low=0, below=1, searchable=True,
    )  # fmt: skip
    pitch_shift: float = option(
        0.0, "Shift its pitch, up or down by up to so many semitones.",
        unit="semitones", low=0, high=24, searchable=True,
    )  # fmt: skip
    variants: int = option(
        4, "Of each recording, so many stretched or shifted in its sound to learn from.",
        low=1, high=100,
    )  # fmt: skip
    roll: float = option(
        0.0, "Begin it later, by up to this share; what falls out comes first.",
        low=0, high=1, searchable=True,
    )  # fmt: skip
    gain_db: float = option(
        0.0, "Make it louder or softer, by up to so many dB.",
        unit="dB", low=0, high=80, searchable=True,
    )  # fmt: skip
    noise_db: float = option(
        0.0, "Add noise to each of its pixels, of this standard deviation in dB.",
        unit="dB", low=0, high=80, searchable=True,
    )  # fmt: skip
    time_mask: float = option(
        0.0, "Hide a part of its time, of up to this share.", low=0, below=1, searchable=True
    )
    frequency_mask: float = option(
        0.0, "Hide a band of its frequencies, of up to this share of the rows.",
        low=0, below=1, searchable=True,
    )  # fmt: skip

    @property
    def is_warping(self) -> bool:
        """Whether time or pitch is changed."""
        return bool(self.time_stretch or self.pitch_shift)

    @property
    def changes_nothing(self) -> bool:
        """Whether what is learnt from stays as it is."""
        return self == AugmentationSettings(variants=self.variants)

    @property
    def without_warping(self) -> Self:
        """The rest, for what has been stretched and shifted before."""
        return replace(self, time_stretch=0.0, pitch_shift=0.0)

    def check_input(self, pictures: PreprocessingSettings) -> None:
        """Refuse decibels of colours, and pitch without mel bands. Raises `SettingsError`."""
        for name in ("gain_db", "noise_db", "pitch_shift"):
            if getattr(self, name) and pictures.features != "mel":
                raise SettingsError(
                    f"{name} needs pictures of mel bands, but features is {pictures.features!r}"
                )
            if getattr(self, name) and name.endswith("_db") and pictures.colours != UNDONE:
                raise SettingsError(f"{name} needs one channel of dB: --colours undone")


def check_integer(name: str, value: object, lowest: int) -> None:
    """Raise `SettingsError` for what is no whole number of `lowest` or more."""
    if not isinstance(value, int) or value < lowest:
        raise SettingsError(f"{name} is {value!r}; allowed: a whole number of {lowest} or more")
