"""Metrics: pure functions of a predictions table or of a confusion matrix.

They take rows as they are; where tracks may be segments of one recording, give them the table
`by_recording`, whose rows the interval counts in any case.
"""

import numpy as np
import pandas as pd
import sklearn.metrics
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from genre_mlflow.evaluation.predictions import (
    by_recording,
    genres_of,
    logits_of,
    probabilities,
)
from genre_mlflow.evaluation.statistics import wilson_interval

TOP = 3  # answers that may hold the right one
AVERAGES = ("macro avg", "weighted avg")  # rows of the report below the genres


def accuracy(predictions: pd.DataFrame) -> float:
    """Share of rows predicted right, 0 to 1."""
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


def balanced_accuracy(predictions: pd.DataFrame) -> float:
    """Recall of each genre that has tracks in the table, averaged with equal weight, 0 to 1."""
    return float(np.nanmean(recalls(confusion(predictions))))


def top_accuracy(predictions: pd.DataFrame, k: int = TOP) -> float:
    """Share of rows whose genre is among the `k` most probable answers, 0 to 1."""
    return float(in_top(predictions, k).mean())


def in_top(predictions: pd.DataFrame, k: int = TOP) -> np.ndarray:
    """Whether fewer than `k` genres are more probable than the right one, bool `[row]`."""
    logits = logits_of(predictions)
    truth = logits[np.arange(len(logits)), places(predictions)]
    return (logits > truth[:, None]).sum(axis=1) < k


def places(predictions: pd.DataFrame) -> np.ndarray:
    """Place of the right genre among those of the table, int `[row]`."""
    numbers = {genre: place for place, genre in enumerate(genres_of(predictions))}
    return predictions["genre"].map(numbers).to_numpy(int)


def log_loss(predictions: pd.DataFrame) -> float:
    """Mean of -log of the probability given to the right genre, in nats; 36 at most."""
    labels = range(len(genres_of(predictions)))  # names would have to be in the alphabet's order
    shares = probabilities(predictions)
    return float(sklearn.metrics.log_loss(places(predictions), shares, labels=labels))


def measures(predictions: pd.DataFrame) -> dict[str, float]:
    """Accuracy, balanced accuracy, macro F1, top-3 accuracy and loss of a table."""
    return {
        "accuracy": accuracy(predictions),
        "balanced_accuracy": balanced_accuracy(predictions),
        "macro_f1": macro_f1(predictions),
        f"top{TOP}_accuracy": top_accuracy(predictions),
        "loss": log_loss(predictions),
    }


def accuracy_interval(predictions: pd.DataFrame) -> tuple[float, float]:
    """95 % interval, low and high, of the accuracy of recordings, taken as independent."""
    units = by_recording(predictions)
    n_right = int((units["genre"] == units["predicted"]).sum())
    found = wilson_interval(n_right, len(units))
    return found.low, found.high


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
    for name, weights in zip(AVERAGES, (tracks > 0, tracks), strict=True):
        means = {key: np.average(values, weights=weights) for key, values in columns.items()}
        table.loc[len(table)] = {"genre": name, **means, "tracks": tracks.sum()}
    return table
