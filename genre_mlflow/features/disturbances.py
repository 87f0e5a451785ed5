"""Tracks as a bad copy, a bad transmission or another player would give them."""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from scipy.signal import butter, sosfiltfilt
from torch import Tensor

from genre_mlflow.features.audio import Samples, decode, is_recording
from genre_mlflow.features.augmentation import LEVELS, Augmenter
from genre_mlflow.features.mel import band_edges
from genre_mlflow.features.preprocessing import Preprocessor, decoding
from genre_mlflow.features.settings import UNDONE, AugmentationSettings, PreprocessingSettings
from genre_mlflow.features.stretching import stretched

GAIN, NOISE, STRETCH, PITCH, MP3, LOW_PASS = (
    "gain", "noise", "time stretch", "pitch shift", "mp3", "low-pass"
)  # fmt: skip
UNITS = {GAIN: "dB", NOISE: "dB SNR", STRETCH: "%", PITCH: "semitones", MP3: "kbit/s",
         LOW_PASS: "Hz"}  # fmt: skip
AMOUNTS = {
    GAIN: (-12, -6, 6, 12), NOISE: (30, 20, 10), STRETCH: (-10, -5, 5, 10), PITCH: (-2, -1, 1, 2),
    MP3: (64,), LOW_PASS: (8000, 4000, 2000),
}  # fmt: skip
SIGNED = (GAIN, STRETCH, PITCH)
IN_LEVELS = (GAIN, NOISE, LOW_PASS)  # which, of an image, need one channel of dB
ORDER = 8  # of the low-pass, which is run forwards and backwards: 96 dB an octave
# What libsndfile has LAME choose from by the share of its `compression_level`, at 16 to 24 kHz.
FEWEST_KBITS, MOST_KBITS = 8, 160
ALIKE = 1.2  # neighbouring frequencies that count as one: a window spreads each over several
MP3_AT_ONCE = 4096  # samples; long writes need a long stack


@dataclass(frozen=True)
class Disturbance:
    """One way to change a track, and how far: `gain +6 dB`."""

    kind: str
    amount: int

    def __str__(self) -> str:
        sign = "+" if self.kind in SIGNED else ""
        return f"{self.kind} {self.amount:{sign}d} {UNITS[self.kind]}"


DISTURBANCES = tuple(Disturbance(kind, n) for kind, many in AMOUNTS.items() for n in many)


@dataclass(frozen=True)
class Disturber:
    """Makes of a track all of `DISTURBANCES`: of a recording as sound, of an image along its axes.

    Noise follows from the name that the track is given, and is another one in each segment: it is
    the same in every run.
    """

    preprocessing: PreprocessingSettings

    def __call__(self, data: bytes, name: str) -> list[Tensor | None]:
        """What the network gets of each, uint8 `[segments, *shape]`; `name`: of hexadecimals.

        The segments are those of the file as it is; None where the disturbance cannot be had of an
        image. Raises `DataError` for what cannot be decoded.
        """
        preprocessor, seed = Preprocessor(self.preprocessing), int(name, 16)
        with decoding():
            if not is_recording(data):
                pixels = preprocessor(data)
                return [self.of_image(pixels, one, seed) for one in DISTURBANCES]
            sounds = [sound for sound, *_ in preprocessor.sounds(data)]
            rate = self.preprocessing.spectrogram.sample_rate
            return [
                torch.cat(
                    [
                        preprocessor.of_sound(disturbed(sound, one, rate, seed + place))
                        for place, sound in enumerate(sounds)
                    ]
                )
                for one in DISTURBANCES
            ]

    def of_image(self, pixels: Tensor, one: Disturbance, seed: int) -> Tensor | None:
        """A picture `[1, *shape]` changed; None for what only sound can be.

        Gain moves the levels, which end at both ends of the scale; noise is white, of the power
        that it has beside the whole picture's; a low-pass takes whole bands to the floor. Nothing
        is interpolated: that blurs, which by itself may change answers.
        """
        own = self.preprocessing
        is_mel = own.features == "mel"
        if one.kind == MP3 or (one.kind in IN_LEVELS and own.colours != UNDONE):
            return None
        if one.kind != STRETCH and not is_mel:
            return None
        augmenter, many = Augmenter(AugmentationSettings(), own), pixels.float()
        if one.kind == GAIN:
            many = many + augmenter.levels(one.amount)
        elif one.kind == NOISE:
            rng = np.random.default_rng(seed)
            many = torch.from_numpy(noisy(many.numpy(), one.amount, own, rng))
        elif one.kind == LOW_PASS:
            above = centres(own) > one.amount
            many[:, :, torch.from_numpy(above)] = 0
        else:
            stretch = 1 + one.amount / 100 if one.kind == STRETCH else 1.0
            semitones = float(one.amount) if one.kind == PITCH else 0.0
            amounts = torch.tensor([stretch]), torch.tensor([semitones])
            many = augmenter.warped(many, *amounts, mode="nearest")
        return many.clamp(0, LEVELS).round().to(torch.uint8)


def disturbed(sound: Samples, one: Disturbance, rate: int, seed: int) -> Samples:
    """Sound changed, float32 `[samples]`, as long; clipped where gain or noise makes it louder."""
    if one.kind == GAIN:
        return np.clip(sound * np.float32(10 ** (one.amount / 20)), -1, 1)
    if one.kind == NOISE:
        return np.clip(with_noise(sound, one.amount, seed), -1, 1)
    if one.kind == STRETCH:
        return stretched(sound, 1 + one.amount / 100, 0)
    if one.kind == PITCH:
        return stretched(sound, 1, one.amount)
    if one.kind == MP3:
        return through_mp3(sound, rate, one.amount)
    return low_passed(sound, rate, one.amount)


def with_noise(sound: Samples, snr_db: float, seed: int) -> Samples:
    """White noise added, so many dB below the sound."""
    rms = np.sqrt(np.mean(np.square(sound, dtype=np.float64)))
    noise = np.random.default_rng(seed).standard_normal(len(sound), dtype=np.float32)
    return sound + noise * np.float32(rms * 10 ** (-snr_db / 20))


def low_passed(sound: Samples, rate: int, cut_hz: float) -> Samples:
    """Sound without what lies above `cut_hz`, where it has any (Butterworth, without delay)."""
    if cut_hz >= rate / 2:
        return sound
    filtered: Samples = sosfiltfilt(butter(ORDER, cut_hz, fs=rate, output="sos"), sound)
    return filtered.astype(np.float32)


def through_mp3(sound: Samples, rate: int, kbits: int) -> Samples:
    """Sound as an MP3 of a constant bit rate gives it back, by libsndfile's LAME."""
    share = (MOST_KBITS - kbits) / (MOST_KBITS - FEWEST_KBITS)
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", rate, 1, format="MP3", bitrate_mode="CONSTANT", compression_level=share
    ) as file:
        for start in range(0, len(sound), MP3_AT_ONCE):
            file.write(sound[start : start + MP3_AT_ONCE])
    return np.resize(decode(buffer.getvalue(), rate), len(sound))


def centres(settings: PreprocessingSettings) -> npt.NDArray[np.float64]:
    """Middle of each row of a picture in Hz, the highest first, `[H]`."""
    edges = band_edges(settings, settings.shape[1])
    middle: npt.NDArray[np.float64] = (edges[:-1] + edges[1:]) / 2
    return middle[::-1].copy()


def noisy(
    levels: npt.NDArray[np.float32],
    snr_db: float,
    settings: PreprocessingSettings,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Levels `[1, 1, H, W]` of a picture of dB with white noise in it, so many dB below the rest.

    White noise has the same mean in every band, for their areas are equal; it varies from frame to
    frame as the sum of as many squares as there are frequencies in a band. As any picture, the
    noisy one reaches from the lowest level of all frames to the highest.
    """
    n_columns = levels.shape[3]
    n_frames = 1 + int(settings.segment_s * settings.sample_rate / settings.hop_length)
    column_of = (np.arange(n_frames) + 0.5) * n_columns // n_frames
    power = 10 ** ((levels[..., column_of.astype(int)] / LEVELS - 1) * settings.top_db / 10)
    widths = np.diff(band_edges(settings, settings.shape[1]))[::-1, None]  # [H, 1]
    density = (power * widths).sum() / (widths.sum() * n_frames)
    bins = widths * settings.n_fft / settings.sample_rate
    degrees = np.maximum(1, bins / ALIKE)
    noise = density * 10 ** (-snr_db / 10) * rng.gamma(degrees, 1 / degrees, power.shape[2:])
    decibels = 10 * np.log10(power + noise)
    lowest = max(decibels.min(), decibels.max() - settings.top_db)
    found = LEVELS * (decibels - lowest) / (decibels.max() - lowest)
    frame_of = (np.arange(n_columns) + 0.5) * n_frames // n_columns
    return found[..., frame_of.astype(int)].astype(np.float32)
