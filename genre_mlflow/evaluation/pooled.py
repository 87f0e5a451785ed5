"""Cross-validation's predictions as one table: its figures, of each fold and of all together.

The pooled table is a predictions table with the columns `repeat` and `fold`, from 1, in front: a
row for each track and repeat, by a classifier that has not seen the track's group.
"""

from collections.abc import Callable, Mapping

import pandas as pd

from genre_mlflow.errors import DataError
from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.calibration import (
    FEWEST,
    calibration_error,
    calibration_error_interval,
    cross_calibrated,
)
from genre_mlflow.evaluation.intervals import metric_intervals
from genre_mlflow.evaluation.predictions import by_recording
from genre_mlflow.evaluation.statistics import Interval, mean_interval

KEYS = ["repeat", "fold"]
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

    That of each fold is fitted to the other folds of its repeat; where these are too small, there
    is the error as the networks answer alone.
    """
    raw = apart(units)
    repeats = [rows for _, rows in raw.groupby("repeat")]
    if min(len(rows) - rows["fold"].value_counts().max() for rows in repeats) < FEWEST:
        return {"calibration_error": calibration_error(raw)}
    parts = [cross_calibrated(rows, rows["fold"]) for rows in repeats]
    after = calibration_error_interval(pd.concat(parts, ignore_index=True))
    return {
        "calibration_error_before": calibration_error(raw),
        "calibration_error": after.mean,
        "calibration_error_low": after.low,
        "calibration_error_high": after.high,
    }


def group_intervals(units: pd.DataFrame) -> dict[str, Interval]:
    """Figures of a table of recordings with their 95 % intervals, by a bootstrap of whole groups.

    Groups are drawn anew with all their recordings, in all repeats: tracks of one artist are not
    independent. The classifiers are not trained anew for it. Raises `DataError` for fewer than two
    groups.
    """
    found = metric_intervals(apart(units))
    if not found:
        raise DataError("intervals need two groups or more, not 1")
    return found


def apart(units: pd.DataFrame) -> pd.DataFrame:
    """The same under names that no two repeats share, which would make one recording of them."""
    return units.assign(track_id=units["repeat"].astype(str) + " " + units["track_id"])
