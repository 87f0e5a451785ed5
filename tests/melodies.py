"""Melodies that tests make: notes of several harmonics, whose pitches and lengths a seed draws."""

import numpy as np
from sounds import RATE


def melody(seconds: float, seed: int) -> np.ndarray:
    """Notes that fade, over a little noise, float32 `[samples]`."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    sound = 1e-4 * rng.standard_normal(n)
    start = 0
    while start < n:
        length = min(round(rng.uniform(0.15, 0.8) * RATE), n - start)
        time_s = np.arange(length) / RATE
        hz = 110 * 2 ** (rng.integers(0, 36) / 12)
        note = sum(np.sin(2 * np.pi * k * hz * time_s) / k for k in range(1, 6))
        sound[start : start + length] += 0.15 * note * np.exp(-3 * time_s)
        start += length
    return (np.rint(32768 * sound) / 32768).astype(np.float32)  # in steps that every format holds
