"""What the metrics of a predictions table are when its groups of tracks are drawn anew.

Whole groups are drawn (Field and Welsh 2007): copies and, where a training knows them, the tracks
of one artist; what shares its group with no other track is one by itself.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.predictions import genres_of, probabilities
from genre_mlflow.evaluation.statistics import DRAWN_AT_ONCE, DRAWS

FEWEST_DRAWS, MOST_DRAWN = 2_000, 10**8  # draws; numbers in all of them, a few seconds
SMALLEST = np.finfo(float).eps  # what a probability of 0 counts as, as in scikit-learn


def drawn(table: pd.DataFrame, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The report, float `[precision recall F1, genre or average, draw]`, and `[top-3 loss, draw]`.

    Both are empty where there is one group, or none, to draw. What a draw needs of a group are
    sums over its tracks, so it is a product with a small matrix. scipy's bootstrap would take a
    genre that is in no track of one draw, whose recall is NaN there, for one without an interval.
    """
    groups, sums = sums_by_group(table)
    if groups < 2:
        return np.empty(0), np.empty(0)
    parts = [(reports(totals), others(totals)) for totals in totals_drawn(sums, seed)]
    report, rest = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    return report, rest


def totals_drawn(sums: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Sums over groups that are drawn anew, `[draw, column]` of `[group, column]`, in portions."""
    groups, columns = sums.shape
    draws = min(DRAWS, max(FEWEST_DRAWS, MOST_DRAWN // groups))
    at_once = max(1, DRAWN_AT_ONCE // max(groups, columns))
    rng = np.random.default_rng(seed)
    for first in range(0, draws, at_once):
        numbers = rng.integers(groups, size=(min(at_once, draws - first), groups))
        yield times_drawn(numbers, groups) @ sums


def means_drawn(values: np.ndarray, groups: "pd.Series[str]", seed: int) -> np.ndarray:
    """Means over tracks whose groups are drawn anew, `[draw, column]` of `[track, column]`.

    Empty where there is one group, or none, to draw.
    """
    group, names = pd.factorize(groups)
    if len(names) < 2:
        return np.empty((0, values.shape[1]))
    sums = np.zeros((len(names), values.shape[1] + 1))
    np.add.at(sums, group, np.column_stack([values, np.ones(len(values))]))
    return np.concatenate([t[:, :-1] / t[:, -1:] for t in totals_drawn(sums, seed)])


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
