"""Calibration: one temperature for a classifier's logits, and how far confidences can be believed.

Pure functions of logits and of predictions tables, one row a recording.
"""

from math import exp, log

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional

from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.predictions import (
    by_recording,
    genres_of,
    logits_of,
    probabilities,
    with_answers,
)
from genre_mlflow.evaluation.statistics import CONFIDENCE, Interval, right, wilson_interval
from genre_mlflow.model.aggregation import aggregate_logits
from genre_mlflow.model.settings import AGGREGATIONS

LOWEST, HIGHEST = 0.25, 20.0  # temperatures that are looked at
FEWEST = 30  # tracks that a temperature is fitted to
BINS = 10
DRAWS = 2000  # of a bootstrap


def fit_temperature(logits: Tensor, owners: Tensor, labels: Tensor, aggregation: str) -> float:
    """What to divide logits by, so that the tracks' log loss is least (Guo et al. 2017, ICML).

    Parameters
    ----------
    logits
        Of segments, `[segments, genres]`.
    owners
        The track of each segment, int64 `[segments]`, 0 to tracks - 1, each at least once.
    labels
        The genre of each track, int64 `[tracks]`.
    aggregation
        How the segments of a track answer as one, see `model.aggregation`.

    Returns
    -------
    `LOWEST` to `HIGHEST`; 1 at least where all tracks are right, which say nothing of how often
    the surest answers are wrong. With one segment a track it is that of scikit-learn's
    `CalibratedClassifierCV(FrozenEstimator(...), method="temperature")`. Votes hardly hang on it,
    so with `vote` it is fitted to the segments, each with the genre of its track.

    Raises
    ------
    DataError
        For fewer than `FEWEST` tracks.
    """
    if len(labels) < FEWEST:
        raise DataError(f"{len(labels)} tracks are too few for a temperature; {FEWEST} are needed")
    logits = logits.double()
    if aggregation == "vote":
        labels, owners, aggregation = labels[owners], torch.arange(len(owners)), AGGREGATIONS[0]
    answers = aggregate_logits(logits, owners, aggregation).argmax(dim=1)
    lowest = 1.0 if bool((answers == labels).all()) else LOWEST

    def loss(logarithm: float) -> float:
        whole = aggregate_logits(logits / exp(logarithm), owners, aggregation)
        return float(functional.cross_entropy(whole, labels))

    found = minimize_scalar(loss, bounds=(log(lowest), log(HIGHEST)), method="bounded")
    return exp(float(found.x))


def cross_calibrated(predictions: pd.DataFrame, folds: "pd.Series[int]") -> pd.DataFrame:
    """The table, the logits of each fold over the temperature that all other folds give.

    So what is calibrated has no part in it. `folds`: that of each row, by its index. Logits are
    those of tracks; a table whose other folds have fewer than `FEWEST` rows is left as it is.
    """
    genres, logits = genres_of(predictions), torch.tensor(logits_of(predictions))
    places = predictions["genre"].map({genre: place for place, genre in enumerate(genres)})
    labels = torch.tensor(places.to_numpy())
    calibrated = logits.clone()
    for fold in folds.unique():
        own = torch.tensor((folds == fold).to_numpy())
        n_others = int((~own).sum())
        if n_others >= FEWEST:
            owners = torch.arange(n_others)
            temperature = fit_temperature(logits[~own], owners, labels[~own], AGGREGATIONS[0])
            calibrated[own] = logits[own] / temperature
    return with_answers(predictions, calibrated.numpy(), genres)


def reliability(predictions: pd.DataFrame, bins: int = BINS) -> pd.DataFrame:
    """Confidence against accuracy, in bins of equally many recordings, the least confident first.

    Columns: `confidence` (mean), `accuracy` with its 95 % interval `low` and `high` (Wilson), all 0
    to 1, and `tracks`. Of fewer recordings than bins, each is a bin.
    """
    confidence, hits = confidences(predictions)
    rows = []
    for places in np.array_split(np.argsort(confidence, kind="stable"), bins):
        if len(places):
            share = wilson_interval(int(hits[places].sum()), len(places))
            mean = float(confidence[places].mean())
            rows.append((mean, share.mean, share.low, share.high, len(places)))
    return pd.DataFrame(rows, columns=["confidence", "accuracy", "low", "high", "tracks"])


def calibration_error(predictions: pd.DataFrame, bins: int = BINS) -> float:
    """Expected calibration error, 0 to 1: how far confidence and accuracy lie apart in the mean.

    Of `bins` bins of equally many recordings (Guo et al. 2017, ICML, whose bins are equally wide).
    Chance alone makes it larger than 0: a perfect model on 290 tracks has 0.05 in the mean.
    """
    confidence, hits = confidences(predictions)
    order = np.argsort(confidence, kind="stable")
    return error_of(hits[order] - confidence[order], bins)


def calibration_error_interval(predictions: pd.DataFrame, seed: int = 0) -> Interval:
    """The calibration error with its 95 % interval over groups, by a bootstrap.

    Whole groups are drawn anew, percentiles of `DRAWS` draws from `seed`; as chance adds to the
    error, the interval lies rather too high than too low.
    """
    whole = by_recording(predictions)
    confidence, hits = confidences(whole)
    order = np.argsort(confidence, kind="stable")
    gaps = hits[order] - confidence[order]
    group, names = pd.factorize(whole["group"].to_numpy()[order])
    rng, n = np.random.default_rng(seed), len(names)
    errors = []
    for _ in range(DRAWS):
        times = np.bincount(rng.integers(n, size=n), minlength=n)  # that each group is drawn
        errors.append(error_of(np.repeat(gaps, times[group]), BINS))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(errors, [tail, 1 - tail])
    return Interval(error_of(gaps, BINS), float(low), float(high), n)


def confidences(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Confidence 0 to 1 of each recording, and whether it is right. Raises `DataError` for none."""
    whole = by_recording(predictions)
    if whole.empty:
        raise DataError("calibration needs predictions of one track or more, not an empty table")
    return probabilities(whole).max(axis=1), right(whole)  # files round the column with it


def error_of(gaps: np.ndarray, bins: int) -> float:
    """Mean distance of confidence and accuracy over bins of equal mass.

    `gaps`: by how much each confidence falls short of being right, the least confident first.
    """
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, bins)) / len(gaps))
