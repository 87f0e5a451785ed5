"""The sounds of the demo corpus: an instrument, a drum kit and the finishing of a recording."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genre_mlflow.corpus.demo.genres import GenreRecipe, Part, Range

Sound = npt.NDArray[np.float32]

TABLE_LENGTH = 2048  # points in one period of a tone; a power of two
MAX_PARTIALS = 80
LONGEST_NOTE_S = 4.0
KICK_S, SNARE_S, HAT_S = 0.35, 0.25, 0.2


def gain_of(decibels: float) -> float:
    """Factor on the amplitude."""
    return float(10 ** (decibels / 20))


def draw_log(limits: Range, rng: np.random.Generator) -> float:
    """Draw from a range of ratios: times and frequencies are heard so."""
    return float(np.exp(rng.uniform(np.log(limits[0]), np.log(limits[1]))))


@dataclass(frozen=True)
class Tone:
    """An instrument's sound: a sum of fading partials under a plucked or swelling envelope."""

    sample_rate: int
    attack_s: float
    decay_s: float
    brightness_hz: float
    hollow: float
    slope: float
    detune: float

    @classmethod
    def draw(cls, part: Part, rng: np.random.Generator, sample_rate: int) -> "Tone":
        """Choose one sound for a whole track."""
        return cls(
            sample_rate=sample_rate,
            attack_s=draw_log(part.attack_s, rng),
            decay_s=draw_log(part.decay_s, rng),
            brightness_hz=draw_log(part.brightness_hz, rng),
            hollow=rng.uniform(*part.hollow),
            slope=rng.uniform(0.6, 1.4),
            detune=2 ** (rng.uniform(-0.3, 0.3) / 12),
        )

    def note(self, midi: int) -> Sound:
        """Play one note until it has died away, `[samples]`, at most 4 seconds."""
        pitch_hz = 440 * 2 ** ((midi - 69) / 12) * self.detune
        length_s = min(self.attack_s + 3 * self.decay_s, LONGEST_NOTE_S)
        time_s = _seconds(length_s, self.sample_rate)
        attack = np.minimum(time_s / self.attack_s, 1)
        decay = np.exp(-np.maximum(time_s - self.attack_s, 0) / self.decay_s)
        release = np.minimum((length_s - time_s) / 0.02, 1)  # 20 ms, so that nothing clicks
        return self._wave(pitch_hz, len(time_s)) * attack * decay * release

    def _wave(self, pitch_hz: float, n_samples: int) -> Sound:
        """Read one period round and round, in straight lines between its points."""
        # The place in the period as a whole number of 2**-32 parts: it wraps by a mask.
        places = np.arange(n_samples) * round(pitch_hz / self.sample_rate * TABLE_LENGTH * 2**32)
        before = (places >> 32) & (TABLE_LENGTH - 1)
        beyond = (places & (2**32 - 1)).astype(np.float32) * np.float32(2**-32)
        period = self._period(pitch_hz).astype(np.float32)
        slope = np.roll(period, -1) - period
        return period[before] + slope[before] * beyond

    def _period(self, pitch_hz: float) -> npt.NDArray[np.float64]:
        """One period with the partials that fit below half the sample rate, loudness 1."""
        n_partials = max(1, min(MAX_PARTIALS, int(0.48 * self.sample_rate / pitch_hz)))
        partial = np.arange(1, n_partials + 1)
        amplitude = partial**-self.slope / (1 + (partial * pitch_hz / self.brightness_hz) ** 2)
        amplitude[1::2] *= 1 - self.hollow
        amplitude /= np.sqrt(np.sum(amplitude**2))
        spectrum = np.zeros(TABLE_LENGTH // 2 + 1, np.complex128)
        spectrum[1 : n_partials + 1] = -1j * amplitude
        return np.fft.irfft(spectrum) * (TABLE_LENGTH / 2)


def kick(rng: np.random.Generator, sample_rate: int) -> Sound:
    """A sine that falls to 45 to 65 Hz."""
    time_s = _seconds(KICK_S, sample_rate)
    pitch_hz = rng.uniform(45, 65) + rng.uniform(60, 200) * np.exp(-time_s / 0.03)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / sample_rate
    return _fading(np.sin(phase), time_s, rng.uniform(0.06, 0.16))


def snare(rng: np.random.Generator, sample_rate: int) -> Sound:
    """Noise over a tone of 160 to 240 Hz."""
    time_s = _seconds(SNARE_S, sample_rate)
    noise = rng.standard_normal(len(time_s), np.float32)
    tone = np.sin(2 * np.pi * rng.uniform(160, 240) * time_s)
    return _fading(0.4 * noise + rng.uniform(0.2, 0.8) * tone, time_s, rng.uniform(0.03, 0.1))


def hat(rng: np.random.Generator, sample_rate: int, decay_s: float) -> Sound:
    """Noise without its low half (the difference of neighbours is a high-pass)."""
    time_s = _seconds(HAT_S, sample_rate)
    noise = rng.standard_normal(len(time_s) + 1, np.float32)
    return _fading(0.5 * np.diff(noise), time_s, decay_s)


def master(mix: Sound, recipe: GenreRecipe, rng: np.random.Generator, sample_rate: int) -> Sound:
    """Saturation, noise floor, equaliser and gain: what makes two recordings of one band differ."""
    loudness = float(np.sqrt(np.mean(mix**2))) + 1e-9
    mix = np.tanh(mix * np.float32(0.25 * draw_log(recipe.drive, rng) / loudness))
    noise = rng.standard_normal(len(mix), np.float32)
    mix += np.float32(gain_of(rng.uniform(*recipe.noise_db))) * noise
    spectrum = np.fft.rfft(mix)
    spectrum *= _equaliser(len(mix), rng, sample_rate)
    mix = np.fft.irfft(spectrum, len(mix)).astype(np.float32)
    return mix * np.float32(gain_of(rng.uniform(-12, -1)) / np.abs(mix).max())


def _equaliser(n_samples: int, rng: np.random.Generator, sample_rate: int) -> Sound:
    """Gain of each frequency: a tilt of up to 1.5 dB an octave and a low-pass at 5 to 11 kHz."""
    hz = np.maximum(np.fft.rfftfreq(n_samples, 1 / sample_rate), 20).astype(np.float32)
    tilt_db_per_octave = rng.uniform(-1.5, 1.5)
    cutoff_hz = draw_log((5000, 11_000), rng)
    return (hz / 500) ** np.float32(tilt_db_per_octave / 6.02) / np.sqrt(1 + (hz / cutoff_hz) ** 6)


def _seconds(length_s: float, sample_rate: int) -> Sound:
    return np.arange(round(length_s * sample_rate), dtype=np.float32) / np.float32(sample_rate)


def _fading(sound: npt.NDArray[np.floating], time_s: Sound, decay_s: float) -> Sound:
    return (sound * np.exp(-time_s / decay_s)).astype(np.float32)
