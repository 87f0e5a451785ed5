"""Whether a recording holds sound, or hardly any: dither, a constant, a click.

The image of a recording is scaled to its own loudest point, so noise that nobody hears would be
drawn as bright as music.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from genre_mlflow.errors import DataError

Powers = npt.NDArray[np.float64]

WINDOW_S = 0.05
AUDIBLE_DB = -70.0  # root mean square of a window, of full scale; 16-bit dither has -96 to -90
# Power of the mix beside that of a mix of channels that have nothing in common, of which it is the
# mean over their number: less is what coding has left of channels that cancel.
CANCELLED_DB = -12.0
AUDIBLE, CANCELLED = 10 ** (AUDIBLE_DB / 10), 10 ** (CANCELLED_DB / 10)  # as powers
ENOUGH_S, SHARE = 1.0, 0.1  # seconds of audible windows, or this share of what lasts less than ten


class Heard:
    """What has been heard of a recording so far; it listens until that is enough.

    Channels that cancel leave what rounding or a lossy encoder made of each, which may be audible
    here and there: it is not enough while more has been cancelled.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.audible_s = self.cancelled_s = 0.0

    def listen(self, block: npt.NDArray[Any], mixed: npt.NDArray[np.float32]) -> None:
        """The next block, `[samples]` or `[samples, channels]`, and the mean of its channels."""
        if self.is_enough(ENOUGH_S):
            return
        mix = window_powers(mixed, self.rate)
        scale = 1 / 32768 if block.dtype == np.int16 else 1.0
        loudest = unrelated = mix
        if block.ndim == 2 and block.shape[1] > 1:
            powers = [window_powers(channel, self.rate) * scale**2 for channel in block.T]
            loudest = np.maximum.reduce(powers)
            unrelated = np.sum(powers, axis=0) / len(powers) ** 2
        is_cancelled = mix < CANCELLED * unrelated
        self.audible_s += WINDOW_S * np.count_nonzero((mix > AUDIBLE) & ~is_cancelled)
        self.cancelled_s += WINDOW_S * np.count_nonzero((loudest > AUDIBLE) & is_cancelled)

    def is_enough(self, needed: float) -> bool:
        """Whether so many seconds were audible, and as many as were cancelled."""
        return self.audible_s >= max(needed, self.cancelled_s)

    def check(self, seconds: float) -> None:
        """Raise `DataError` where hardly anything of so many seconds was sound."""
        needed = needed_s(seconds)
        if self.is_enough(needed):
            return
        if self.cancelled_s >= needed:
            raise DataError(
                "has channels that cancel each other out when they are mixed; "
                "give one of them alone"
            )
        if self.audible_s:
            raise DataError(
                f"is silent but for {self.audible_s:.2f} of its {seconds:.1f} s (below "
                f"{AUDIBLE_DB:g} dB of full scale); at least {needed:.1f} s of sound are needed"
            )
        raise DataError(f"is silent throughout ({seconds:.1f} s)")


def is_audible(samples: npt.NDArray[np.float32], rate: int) -> bool:
    """Whether there is sound enough in a segment, `[samples]`, for an answer."""
    powers = window_powers(samples, rate)
    audible_s = WINDOW_S * np.count_nonzero(powers > AUDIBLE)
    return bool(audible_s >= needed_s(len(samples) / rate))


def needed_s(seconds: float) -> float:
    """How much of a recording must be audible."""
    return min(ENOUGH_S, SHARE * seconds)


def window_powers(samples: npt.NDArray[Any], rate: int) -> Powers:
    """Power of each whole window about its mean, `[windows]`, so that a constant has none."""
    length = max(1, round(WINDOW_S * rate))
    windows = samples[: len(samples) // length * length].reshape(-1, length)
    return windows.astype(np.float64).var(axis=1)
