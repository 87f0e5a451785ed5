"""Cross-validation's predictions as one table: its figures, of each fold and of all together.

The pooled table is a predictions table with the columns `repeat` and `fold`, from 1, in front: a
row for each track and repeat, by a classifier that has not seen the track's group.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from genre_mlflow.errors import DataError
from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.calibration import (
    calibration_error,
    calibration_error_interval,
    cross_calibrated,
)
from genre_mlflow.evaluation.predictions import by_recording, genres_of, probabilities
from genre_mlflow.evaluation.statistics import (
    CONFIDENCE,
    DRAWN_AT_ONCE,
    DRAWS,
    Interval,
    mean_interval,
)

KEYS = ["repeat", "fold"]
SMALLEST = np.finfo(np.float64).eps  # what a probability counts as at least, as in `log_loss`
FIGURES: Mapping[str, Callable[[pd.DataFrame], float]] = {
    "accuracy": metrics.accuracy,
    "macro_f1": metrics.macro_f1,
    "loss": metrics.log_loss,
}


def pool(tables: Mapping[tuple[int, int], pd.DataFrame]) -> pd.DataFrame:
    """The pooled table of predictions tables by repeat and fold, in their order.

    Raises `DataError` unless each repeat has the same tracks, each once.
    """
    parts = []
    for (repeat, fold), table in sorted(tables.items()):
        parts.append(table.assign(repeat=repeat, fold=fold)[[*KEYS, *table.columns]])
    pooled = pd.concat(parts, ignore_index=True)
    tracks = [sorted(table["track_id"]) for _, table in pooled.groupby("repeat")]
    if any(len({*ids}) < len(ids) or ids != tracks[0] for ids in tracks):
        raise DataError("the folds do not hold each track once: they were dealt in two ways")
    return pooled


def recordings_of(pooled: pd.DataFrame) -> pd.DataFrame:
    """The same with one row a recording and repeat, which all figures count."""
    parts = []
    for _, table in pooled.groupby(KEYS, sort=True):
        whole = by_recording(table.drop(columns=KEYS))
        keys = {name: table[name].iloc[0] for name in KEYS}
        parts.append(whole.assign(**keys)[[*KEYS, *whole.columns]])
    return pd.concat(parts, ignore_index=True)


def fold_table(units: pd.DataFrame) -> pd.DataFrame:
    """Recordings, groups and figures of each fold, a row each."""
    rows = [
        {"repeat": repeat, "fold": fold, "recordings": len(table),
         "groups": table["group"].nunique(),
         **{name: figure(table) for name, figure in FIGURES.items()}}
        for (repeat, fold), table in units.groupby(KEYS, sort=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def pooled_figures(units: pd.DataFrame) -> dict[str, float]:
    """Figures of all folds and repeats together, by name, with the ends of their intervals.

    `NAME_low` and `NAME_high` speak of other groups; with several repeats `over_repeats_low` and
    `over_repeats_high` of the accuracy on the same tracks, dealt and trained anew.
    """
    values: dict[str, float] = {}
    for name, interval in group_intervals(units).items():
        values |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
    accuracies = [metrics.accuracy(table) for _, table in units.groupby("repeat")]
    if len(accuracies) > 1:
        over = mean_interval(accuracies)
        values |= {"over_repeats_low": over.low, "over_repeats_high": over.high}
    by_fold = fold_table(units)["accuracy"]
    means = {"mean_fold_accuracy": by_fold.mean(), "lowest_fold_accuracy": by_fold.min()}
    values |= {name: float(value) for name, value in means.items()}
    return values | calibration_figures(units)


def calibration_figures(units: pd.DataFrame) -> dict[str, float]:
    """The calibration error as the networks answer, and with one temperature, with its interval.

    That of each fold is fitted to the other folds of its repeat.
    """
    names = units["repeat"].astype(str) + " " + units["track_id"]  # no recording of two repeats
    raw = units.assign(track_id=names)
    parts = [cross_calibrated(rows, rows["fold"]) for _, rows in raw.groupby("repeat")]
    after = calibration_error_interval(pd.concat(parts, ignore_index=True))
    return {
        "calibration_error_before": calibration_error(raw),
        "calibration_error": after.mean,
        "calibration_error_low": after.low,
        "calibration_error_high": after.high,
    }


def group_intervals(units: pd.DataFrame, seed: int = 0) -> dict[str, Interval]:
    """Figures of a table of recordings with their 95 % intervals, by a bootstrap of whole groups.

    Groups are drawn anew with all their recordings, in all repeats (Field and Welsh 2007;
    percentiles of 10,000 draws from `seed`): tracks of one artist are not independent. The
    classifiers are not trained anew for it. `n` is the number of groups. Raises `DataError` for
    fewer than two.
    """
    sums = group_sums(units)  # [groups, 2 + 3 * genres]
    n = len(sums)
    if n < 2:
        raise DataError("a bootstrap needs two groups or more, not 1")
    n_genres = len(genres_of(units))

    def figures(places: np.ndarray, axis: int = -1) -> np.ndarray:
        drawn = np.apply_along_axis(np.bincount, -1, places, minlength=n)  # how often, [..., n]
        return figures_of(drawn @ sums, n_genres)

    low, high = bootstrap(
        (np.arange(n),), figures, n_resamples=DRAWS,
        batch=max(1, DRAWN_AT_ONCE // n), confidence_level=CONFIDENCE,
        method="percentile", vectorized=True, rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return {
        name: Interval(figure(units), float(low[place]), float(high[place]), n)
        for place, (name, figure) in enumerate(FIGURES.items())
    }


def group_sums(units: pd.DataFrame) -> np.ndarray:
    """What the figures are made of, summed by group, float `[groups, 2 + 3 * genres]`.

    Number of rows, sum of losses; of each genre the rows of it, the answers with it, and the right
    ones.
    """
    genres = np.array(genres_of(units))
    truth = units["genre"].to_numpy()[:, None] == genres
    answer = units["predicted"].to_numpy()[:, None] == genres
    losses = -np.log(np.maximum(probabilities(units)[truth], SMALLEST))
    ones = np.ones(len(units))
    values = np.column_stack([ones, losses, truth, answer, truth & answer]).astype(float)
    return pd.DataFrame(values).groupby(units["group"].to_numpy()).sum().to_numpy()


def figures_of(sums: np.ndarray, n_genres: int) -> np.ndarray:
    """Accuracy, macro F1 and loss, `[3, ...]`, from sums `[..., 2 + 3 * genres]`.

    Macro F1 is over the genres that have rows.
    """
    rows, loss = sums[..., 0], sums[..., 1]
    truth, answers, hits = np.split(sums[..., 2:], [n_genres, 2 * n_genres], axis=-1)
    f1 = 2 * hits / np.maximum(truth + answers, 1)
    macro_f1 = np.average(f1, axis=-1, weights=truth > 0)
    return np.stack([hits.sum(axis=-1) / rows, macro_f1, loss / rows])
