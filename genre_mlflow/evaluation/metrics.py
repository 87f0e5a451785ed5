"""Metrics: pure functions of a predictions table or of a confusion matrix."""

import math

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from genre_mlflow.evaluation.predictions import PROBABILITY, genres_of

Z_95 = 1.959963984540054  # two-sided 95 % of a normal distribution


def accuracy(predictions: pd.DataFrame) -> float:
    """Share of tracks predicted right, 0 to 1."""
    return float((predictions["genre"] == predictions["predicted"]).mean())


def macro_f1(predictions: pd.DataFrame) -> float:
    """F1 of each genre that has tracks in the table, averaged with equal weight, 0 to 1."""
    return float(
        f1_score(
            predictions["genre"],
            predictions["predicted"],
            labels=sorted(predictions["genre"].unique()),
            average="macro",
            zero_division=0,
        )
    )


def log_loss(predictions: pd.DataFrame) -> float:
    """Mean of -log of the probability given to the right genre, in nats."""
    genres = genres_of(predictions)
    probabilities = predictions[[PROBABILITY + genre for genre in genres]].to_numpy(float)
    places = predictions["genre"].map({genre: i for i, genre in enumerate(genres)}).to_numpy()
    given = probabilities[np.arange(len(predictions)), places]
    return float(-np.log(np.clip(given, 1e-12, 1.0)).mean())


def wilson_interval(n_right: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927), 0 to 1."""
    share, z2 = n_right / n, Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def accuracy_interval(predictions: pd.DataFrame) -> tuple[float, float]:
    """95 % interval of the accuracy, as of a share of independent tracks."""
    n_right = int((predictions["genre"] == predictions["predicted"]).sum())
    return wilson_interval(n_right, len(predictions))


def confusion(predictions: pd.DataFrame) -> np.ndarray:
    """Counts, int `[genre, predicted genre]`."""
    return confusion_matrix(
        predictions["genre"], predictions["predicted"], labels=genres_of(predictions)
    )


def recalls(matrix: np.ndarray) -> np.ndarray:
    """Share of each genre's tracks predicted right, `[genre]`; NaN where there are none."""
    counts = matrix.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.diag(matrix) / counts


def genre_report(predictions: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall, F1 and number of tracks, one row a genre and two of averages.

    The averages are over the genres that have tracks in the table.
    """
    genres = genres_of(predictions)
    precision, recall, f1, tracks = precision_recall_fscore_support(
        predictions["genre"], predictions["predicted"], labels=genres, zero_division=0
    )
    columns = {"precision": precision, "recall": recall, "f1": f1}
    table = pd.DataFrame({"genre": genres, **columns, "tracks": tracks})
    for name, weights in (("macro avg", tracks > 0), ("weighted avg", tracks)):
        means = {key: np.average(values, weights=weights) for key, values in columns.items()}
        table.loc[len(table)] = {"genre": name, **means, "tracks": tracks.sum()}
    return table
