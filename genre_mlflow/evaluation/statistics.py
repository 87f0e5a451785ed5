"""Intervals and comparisons: pure functions of figures by seed and of predictions tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest, bootstrap, sem, t

from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.predictions import by_recording
from genre_mlflow.files.words import counted, few

CONFIDENCE = 0.95
DRAWS = 10_000  # of a bootstrap: chance then moves its ends by a hundredth of their distance
DRAWN_AT_ONCE = 10**6  # numbers, 8 MB


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its 95 % interval, and the number of what it is a mean of.

    All in the unit of the values: shares are 0 to 1, their differences -1 to 1.
    """

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Disagreement:
    """Of `n` tracks, how many the one and the other alone gets right.

    `p`: the probability, 0 to 1, of numbers at least as unequal if both are right equally often.
    """

    n: int
    only_one: int
    only_other: int
    p: float


def wilson_interval(n_right: int, n: int) -> Interval:
    """A share of independent units with its score interval (Wilson 1927), 0 to 1.

    Raises `DataError` for no units, or a part that is larger than the whole.
    """
    if not 0 <= n_right <= n or n == 0:
        raise DataError(f"{n_right} of {n} is no share; allowed are 0 to n of at least 1")
    low, high = binomtest(n_right, n).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(n_right / n, float(low), float(high), n)


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean over seeds with its t interval (Student 1908).

    It speaks of other seeds on the same tracks, not of other tracks. Raises `DataError` for fewer
    than two values, and for one that is no number.
    """
    if len(values) < 2:
        raise DataError(f"an interval over seeds needs two values or more, not {len(values)}")
    if not np.isfinite(values).all():
        raise DataError(
            f"an interval over seeds needs numbers, not {few([str(v) for v in values])}"
        )
    mean, n = float(np.mean(values)), len(values)
    reach = float(t.ppf((1 + CONFIDENCE) / 2, n - 1) * sem(values))  # t.interval is nan for 0
    return Interval(mean, mean - reach, mean + reach, n)


def accuracy_difference(
    ones: Sequence[pd.DataFrame],
    others: Sequence[pd.DataFrame],
    *,
    by_group: bool = False,
    seed: int = 0,
) -> Interval:
    """Accuracy of `ones` less that of `others` over tracks, -1 to 1, by a paired bootstrap.

    `ones` and `others`: predictions tables of the same tracks, one or more (by seed) each; a track
    counts as right in the share of them that are. Tracks are drawn anew with both answers (Efron
    and Tibshirani 1993, percentiles of 10,000 draws from `seed`), or whole groups of them with
    `by_group`: tracks of one artist are not independent (Field and Welsh 2007). Segments of one
    recording are one track. `n` is the number of what is drawn.

    Raises `DataError` for tables of other tracks, and for fewer than two that could be drawn.
    """
    if not ones or not others:
        raise DataError(
            f"a comparison needs tables on both sides, not {len(ones)} and {len(others)}"
        )
    tables = check_same_tracks([*ones, *others])
    shares = [np.mean([right(table) for table in part], axis=0)
              for part in (tables[: len(ones)], tables[len(ones) :])]  # fmt: skip
    keys = tables[0]["group"] if by_group else tables[0].index
    gains = pd.Series(shares[0] - shares[1]).groupby(keys.to_numpy())
    totals, sizes = gains.sum().to_numpy(), gains.size().to_numpy(float)
    mean, n = float(totals.sum() / sizes.sum()), len(totals)
    if n < 2:
        raise DataError(f"a bootstrap needs two {'group' if by_group else 'track'}s or more, not 1")
    low, high = bootstrap(
        (totals, sizes), lambda total, size, axis: total.sum(axis) / size.sum(axis), paired=True,
        n_resamples=DRAWS, batch=max(1, DRAWN_AT_ONCE // n), confidence_level=CONFIDENCE,
        method="percentile", rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Interval(mean, float(low), float(high), n)


def mcnemar(one: pd.DataFrame, other: pd.DataFrame) -> Disagreement:
    """Whether two predictions tables of the same tracks differ in accuracy (McNemar 1947), exactly.

    A binomial test of the tracks that one alone gets right, which is the test for what has been
    trained once (Dietterich 1998, Neural Computation 10). It takes tracks as independent; segments
    of one recording are one track. Raises `DataError` for tables of other tracks.
    """
    first, second = (right(table) for table in check_same_tracks([one, other]))
    n_one, n_other = int((first & ~second).sum()), int((second & ~first).sum())
    p = float(binomtest(n_one, n_one + n_other).pvalue) if n_one + n_other else 1.0
    return Disagreement(len(first), n_one, n_other, p)


def right(predictions: pd.DataFrame) -> np.ndarray:
    """Which rows are predicted right, bool `[row]`."""
    return (predictions["genre"] == predictions["predicted"]).to_numpy()


def check_same_tracks(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """One row a recording in one order, of tables that must hold the same ones.

    Raises `DataError` where one is empty, has other tracks, or another genre for one.
    """
    whole = [by_recording(table).sort_values("track_id", ignore_index=True) for table in tables]
    first = whole[0]
    if first.empty:
        raise DataError("a comparison needs predictions of one track or more, not an empty table")
    for other in whole[1:]:
        apart = sorted({*first["track_id"]} ^ {*other["track_id"]})
        if apart:
            raise DataError(
                "predictions can be compared on the same tracks alone; "
                f"{counted(len(apart), 'track')} in one table and not in the other: {few(apart)}"
            )
        changed = first["track_id"][first["genre"] != other["genre"]]
        if len(changed):
            raise DataError(f"predictions have two true genres of {few(list(changed))}")
    return whole
