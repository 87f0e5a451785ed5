"""Every metric of a predictions table with its 95 % interval: Wilson's, or over groups of tracks.

Segments of one recording are one track.
"""

import numpy as np
import pandas as pd

from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.draws import drawn, means_drawn
from genre_mlflow.evaluation.predictions import by_recording, genres_of
from genre_mlflow.evaluation.statistics import CONFIDENCE, Interval, wilson_interval
from genre_mlflow.evaluation.statistics import right as correct
from genre_mlflow.files.words import few

SHARES = ("precision", "recall", "f1")  # columns of the report that have intervals
TOP_ACCURACY = f"top{metrics.TOP}_accuracy"
FEW_TRACKS = 10  # of a genre: 5 right of 9 may be 27 to 81 %

Ends = tuple[float, float]
NOTHING: Ends = (np.nan, np.nan)


def measures_with_intervals(predictions: pd.DataFrame) -> dict[str, float]:
    """`measures` with the ends of their intervals, `accuracy_low`, `accuracy_high` and so on.

    The interval of the accuracy is Wilson's, of tracks taken as independent; where groups hold
    several tracks, that over groups is `accuracy_over_groups_low` and `_high`.
    """
    table = by_recording(predictions)
    low, high = metrics.accuracy_interval(table)
    values = metrics.measures(table) | {"accuracy_low": low, "accuracy_high": high}
    found = metric_intervals(table)
    if found and found["accuracy"].n < len(table):
        found["accuracy_over_groups"] = found["accuracy"]
    found.pop("accuracy", None)
    for name, interval in found.items():
        values |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    return values


def metric_intervals(predictions: pd.DataFrame, seed: int = 0) -> dict[str, Interval]:
    """Accuracy, balanced accuracy, macro F1, top-3 accuracy (0 to 1) and loss (nats).

    The two shares of tracks have Wilson's as `report_with_intervals` tells, the others the
    bootstrap's. Empty for tracks of one group alone, which say nothing of others. `n` is the
    number of groups.
    """
    table = by_recording(predictions)
    report, others = drawn(table, seed)
    if not report.size:
        return {}
    # The accuracy is the recall weighted by the tracks; the loss stands last among the others.
    draws = [report[1, -1], report[1, -2], report[2, -2], *others]
    values, n = metrics.measures(table), table["group"].nunique()
    found = {name: ends(part) for name, part in zip(values, draws, strict=True)}
    for name, right in (("accuracy", correct(table)), (TOP_ACCURACY, metrics.in_top(table))):
        alone = wilson_ends(right.sum(), len(table))
        found[name] = alone if table["group"].is_unique else wider(found[name], alone)
    return {name: Interval(values[name], *found[name], n) for name in values}


def mean_intervals(values: np.ndarray, groups: "pd.Series[str]", seed: int = 0) -> list[Interval]:
    """The mean of each column of `[track, column]` with its interval, by a bootstrap of groups.

    Its ends are NaN, and say nothing, where all tracks are of one group.
    """
    draws, n = means_drawn(values, groups, seed), groups.nunique()
    found = [ends(column) for column in draws.T]
    return [Interval(float(m), *e, n) for m, e in zip(values.mean(axis=0), found, strict=True)]


def report_with_intervals(predictions: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The report by genre with `precision_low, precision_high, recall_low`, ... behind its columns.

    A genre has Wilson's, which take tracks as independent; where groups hold several, each end is
    the wider one of Wilson's and the bootstrap's: that knows of groups, but finds no width where
    all answers are right. The averages have the bootstrap's. NaN where nothing can be said.
    """
    table = by_recording(predictions)
    report, alone = metrics.genre_report(table), genre_ends(metrics.confusion(table))
    draws, _ = drawn(table, seed)
    for row, name in enumerate(SHARES):
        found = [ends(part) for part in draws[row]] if draws.size else [NOTHING] * len(report)
        for genre, wilson in enumerate(alone[name]):
            found[genre] = wilson if table["group"].is_unique else wider(found[genre], wilson)
        report[[f"{name}_low", f"{name}_high"]] = found
    return report


def genre_ends(matrix: np.ndarray) -> dict[str, list[Ends]]:
    """Wilson's intervals of precision, recall and F1, one a genre.

    F1 is 2 J / (1 + J), J the share that are right of the tracks that are of a genre or are said to
    be (Jaccard's index), and so are its ends.
    """
    right, answers, tracks = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    totals = {"precision": answers, "recall": tracks, "f1": answers + tracks - right}
    found = {
        name: [wilson_ends(*pair) for pair in zip(right, total, strict=True)]
        for name, total in totals.items()
    }
    found["f1"] = [(2 * low / (1 + low), 2 * high / (1 + high)) for low, high in found["f1"]]
    return found


def wilson_ends(n_right: int, n: int) -> Ends:
    """Wilson's interval of a share of tracks, NaN for a share of nothing."""
    if n == 0:
        return NOTHING
    found = wilson_interval(int(n_right), int(n))
    return found.low, found.high


def wider(one: Ends, other: Ends) -> Ends:
    """The lower of the low ends and the higher of the high ones."""
    return float(np.fmin(one[0], other[0])), float(np.fmax(one[1], other[1]))


def ends(draws: np.ndarray) -> Ends:
    """Percentiles of what was drawn, without the draws in which nothing could be measured."""
    known = draws[np.isfinite(draws)]
    if not len(known):
        return NOTHING
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def readable(report: pd.DataFrame) -> pd.DataFrame:
    """The report with intervals as people read it: `0.750 (0.301 to 0.954)`."""
    cells = {"genre": report["genre"]}
    for name in SHARES:
        ranges = zip(report[name], report[f"{name}_low"], report[f"{name}_high"], strict=True)
        cells[name] = pd.Series(
            [f"{value:.3f}" + f" ({low:.3f} to {high:.3f})" * (low == low)
             for value, low, high in ranges]
        )  # fmt: skip
    return pd.DataFrame({**cells, "tracks": report["tracks"].astype(int)})


def small_sentence(predictions: pd.DataFrame) -> str:
    """That a test set is small, with the genres of which it has too few tracks; empty if not."""
    table = by_recording(predictions)
    counts = table["genre"].value_counts().reindex(genres_of(table), fill_value=0)
    small = counts[counts < FEW_TRACKS].sort_values(kind="stable")
    if small.empty:
        return ""
    names = few([f"{genre} ({count})" for genre, count in small.items()])
    return f"A small test set: fewer than {FEW_TRACKS} tracks of {names}"
