"""Every metric of a predictions table with its 95 % interval over groups of tracks.

Whole groups are drawn anew (Field and Welsh 2007): copies and, where a training knows them, the
tracks of one artist. A track without a group of its own kind is a group. Segments of one recording
are one track. What the table is too small for says so by intervals that are wide.
"""

import numpy as np
import pandas as pd

from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.predictions import by_recording, genres_of, probabilities
from genre_mlflow.evaluation.statistics import (
    CONFIDENCE,
    DRAWN_AT_ONCE,
    DRAWS,
    Interval,
    wilson_interval,
)
from genre_mlflow.files.words import few

SHARES = ("precision", "recall", "f1")  # columns of the report that have intervals
FEW_TRACKS = 10  # of a genre: with fewer, its recall's interval is wider than half of all
FEWEST_DRAWS, MOST_DRAWN = 2_000, 10**8  # of a bootstrap; numbers, a few seconds of them
SMALLEST = np.finfo(float).eps  # what a probability of 0 counts as, as in scikit-learn


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

    Empty for tracks of one group alone, which say nothing of others. `n` is the number of groups.
    """
    table = by_recording(predictions)
    report, others = drawn(table, seed)
    if not report.size:
        return {}
    # The accuracy is the recall weighted by the tracks; the loss stands last among the others.
    draws = [report[1, -1], report[1, -2], report[2, -2], *others]
    values, n = metrics.measures(table), table["group"].nunique()
    pairs = zip(values.items(), draws, strict=True)
    return {name: Interval(value, *ends(values), n) for (name, value), values in pairs}


def report_with_intervals(predictions: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The report by genre with `precision_low, precision_high, recall_low`, ... behind its columns.

    Precision and recall of a genre have Wilson's interval, which takes tracks as independent. Where
    groups hold several, each end is the wider one of Wilson's and the bootstrap's: that knows of
    groups, but finds no width where all answers are right. NaN where nothing can be said.
    """
    table = by_recording(predictions)
    report, matrix = metrics.genre_report(table), metrics.confusion(table)
    draws, _ = drawn(table, seed)
    right, n_genres = np.diag(matrix), len(matrix)
    totals = {"precision": matrix.sum(axis=0), "recall": matrix.sum(axis=1)}
    for row, name in enumerate(SHARES):
        found = np.full((len(report), 2), np.nan)
        if draws.size:
            found[:] = [ends(values) for values in draws[row]]
        if name in totals:
            wilson = np.array(
                [wilson_ends(*pair) for pair in zip(right, totals[name], strict=True)]
            )
            alone = table["group"].is_unique
            found[:n_genres] = wilson if alone else wider(found[:n_genres], wilson)
        report[f"{name}_low"], report[f"{name}_high"] = found.T
    return report


def wider(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The lower of the low ends and the higher of the high ones, `[interval, low high]`."""
    low, high = np.fmin(ones[:, 0], others[:, 0]), np.fmax(ones[:, 1], others[:, 1])
    return np.column_stack([low, high])


def wilson_ends(n_right: int, n: int) -> tuple[float, float]:
    """Wilson's interval, NaN for a share of nothing."""
    if n == 0:
        return np.nan, np.nan
    found = wilson_interval(int(n_right), int(n))
    return found.low, found.high


def ends(draws: np.ndarray) -> tuple[float, float]:
    """Percentiles of what was drawn, without the draws in which nothing could be measured."""
    known = draws[np.isfinite(draws)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def drawn(table: pd.DataFrame, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The report, float `[precision recall F1, genre or average, draw]`, and `[top-3 loss, draw]`.

    Both are empty where there is one group, or none, to draw. What a draw needs of a group are
    sums over its tracks, so it is a product with a small matrix. scipy's bootstrap would take a
    genre that is in no track of one draw, whose recall is NaN there, for one without an interval.
    """
    groups, sums = sums_by_group(table)
    if groups < 2:
        return np.empty(0), np.empty(0)
    draws = min(DRAWS, max(FEWEST_DRAWS, MOST_DRAWN // groups))
    at_once = max(1, DRAWN_AT_ONCE // max(groups, sums.shape[1]))
    rng, parts = np.random.default_rng(seed), []
    for first in range(0, draws, at_once):
        numbers = rng.integers(groups, size=(min(at_once, draws - first), groups))
        totals = times_drawn(numbers, groups) @ sums
        parts.append((reports(totals), others(totals)))
    report, rest = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    return report, rest


def sums_by_group(table: pd.DataFrame) -> tuple[int, np.ndarray]:
    """The number of groups, and float `[group, column]`: three columns a genre, then two more.

    They are right answers, tracks and answers by genre, then right ones among three, and losses.
    """
    n_genres = len(genres_of(table))
    truth = metrics.places(table)
    said = metrics.places(table.assign(genre=table["predicted"]))
    group, names = pd.factorize(table["group"])
    sums = np.zeros((len(names), 3 * n_genres + 2))
    np.add.at(sums, (group, truth), truth == said)
    np.add.at(sums, (group, n_genres + truth), 1)
    np.add.at(sums, (group, 2 * n_genres + said), 1)
    shares = probabilities(table)[np.arange(len(table)), truth]
    sums[:, -2] = np.bincount(group, metrics.in_top(table))
    sums[:, -1] = np.bincount(group, -np.log(np.maximum(shares, SMALLEST)))
    return len(names), sums


def times_drawn(numbers: np.ndarray, n: int) -> np.ndarray:
    """How often each of `n` groups is in a draw, `[draw, group]`, from their numbers in each."""
    places = numbers + n * np.arange(len(numbers))[:, None]
    return np.bincount(places.ravel(), minlength=n * len(numbers)).reshape(-1, n).astype(float)


def reports(totals: np.ndarray) -> np.ndarray:
    """Precision, recall and F1 of genres and averages, `[3, genre or average, draw]`.

    `totals`: the columns of `sums_by_group`, `[draw, column]`. What is a share of nothing is NaN;
    as in the report it counts as 0 in the averages, which are over the genres that have tracks.
    """
    right, tracks, answers = np.split(totals[:, :-2], 3, axis=1)
    with np.errstate(invalid="ignore"):
        shares = [right / answers, right / tracks, 2 * right / (answers + tracks)]
    found = []
    for values in shares:
        means = [np.average(np.nan_to_num(values), axis=1, weights=w) for w in (tracks > 0, tracks)]
        found.append(np.vstack([values.T, *means]))
    return np.array(found)


def others(totals: np.ndarray) -> np.ndarray:
    """Top-3 accuracy and loss, `[2, draw]`."""
    n_genres = (totals.shape[1] - 2) // 3
    n_tracks = totals[:, n_genres : 2 * n_genres].sum(axis=1)
    return totals[:, -2:].T / n_tracks


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
    names = few([f"{genre} {count}" for genre, count in small.items()])
    return (
        f"The test set is small: fewer than {FEW_TRACKS} tracks of {names}; figures by genre say "
        "little"
    )
