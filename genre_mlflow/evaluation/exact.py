"""Tests of two models' answers to the same tracks that hold where few answers differ.

The percentiles of a bootstrap do not: of four tracks that differ, all won, they lie above 0.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np
import pandas as pd


def flips_p(gains: Sequence[int]) -> float:
    """How likely a sum at least so far from 0 is if each gain had either sign as likely, 0 to 1.

    The exact sign-flip test (Fisher 1935), two-sided, by the distribution of the sum. `gains`: in
    tracks, of whole groups where tracks of one are not independent; of single tracks it is
    McNemar's exact test.
    """
    sizes = [abs(int(gain)) for gain in gains if gain]
    chances = np.ones(1)  # of each sum, from the least one, in steps of 1
    for size in sizes:
        wider = np.zeros(len(chances) + 2 * size)
        wider[: len(chances)] += chances / 2
        wider[2 * size :] += chances / 2
        chances = wider
    sums = np.arange(len(chances)) - sum(sizes)
    reached = abs(int(sum(gains)))
    return float(min(1.0, chances[np.abs(sums) >= reached].sum()))


def score_z(won: int, lost: int, n: int, difference: float) -> float:
    """By how many standard errors the gain is above a `difference`, -1 to 1 (Tango 1998).

    The score test of two shares of the same `n` tracks, of which one model alone gets `won` right
    and the other `lost` (Statistics in Medicine 17). The standard error is that which the
    difference itself would have, so that no tracks lost, or hardly any, are no certainty.
    """
    b = (2 * n + lost - won) * difference - won - lost
    c = -lost * difference * (1 - difference)
    share = (sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)  # lost, if that were the difference
    variance = n * (2 * share + difference * (1 - difference))
    gap = won - lost - n * difference
    return gap / sqrt(variance) if variance > 0 else float(np.sign(gap)) * np.inf


def gains_by_group(rows: pd.DataFrame) -> list[int]:
    """Tracks that side A wins less those that it loses, by group.

    `rows`: those that two models answer differently, with `group, a_right, b_right`.
    """
    gains = (rows["a_right"] - rows["b_right"]).groupby(rows["group"]).sum()
    return [round(gain) for gain in gains]
