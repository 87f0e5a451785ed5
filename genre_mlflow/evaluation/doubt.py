"""When to say "I do not know": thresholds for probabilities, chosen on tracks that were held out.

Pure functions of predictions tables whose logits are calibrated; segments of one recording are one.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genre_mlflow.evaluation.calibration import FEWEST, confidences
from genre_mlflow.evaluation.doubt_settings import DoubtSettings
from genre_mlflow.evaluation.metrics import places
from genre_mlflow.evaluation.predictions import by_recording, genres_of, probabilities
from genre_mlflow.evaluation.statistics import Interval, wilson_interval
from genre_mlflow.model.doubt import NEVER, UNKNOWN, Doubt


def fit_doubt(predictions: pd.DataFrame, settings: DoubtSettings) -> Doubt:
    """Thresholds by these tracks; nobody knows where they are fewer than `FEWEST`."""
    if len(by_recording(predictions)) < FEWEST:
        return UNKNOWN
    return Doubt(
        sure_from(predictions, settings.sure_precision),
        likely_from(predictions, settings.set_coverage),
    )


def sure_from(predictions: pd.DataFrame, precision: float) -> float:
    """The least confidence from which on so large a share of the answers is right.

    It must be so with one more answer that is wrong: else a few right ones at the top of the list,
    or a lucky place further down, would do. `NEVER` where no confidence reaches it. It lies half
    way to the next lower confidence; equal ones are on one side.
    """
    confidence, hits = confidences(predictions)
    order = np.argsort(-confidence, kind="stable")
    confidence, hits = confidence[order], hits[order]
    pessimistic = hits.cumsum() / (np.arange(len(hits)) + 2)
    is_last = np.append(confidence[:-1] > confidence[1:], True)  # of those that are equal
    reached = np.flatnonzero(is_last & (pessimistic >= precision))
    if not len(reached):
        return NEVER
    lowest = int(reached[-1])
    below = confidence[lowest + 1] if lowest + 1 < len(confidence) else 0.0
    return float(confidence[lowest] + below) / 2


@dataclass(frozen=True)
class Sure:
    """Of tracks, the share that gets a sure answer, and the share of these that are right.

    `precision` is None where no answer is sure.
    """

    coverage: Interval
    precision: Interval | None


def sure_answers(predictions: pd.DataFrame, threshold: float) -> Sure:
    """How many answers are sure, and right, with Wilson's intervals."""
    confidence, hits = confidences(predictions)
    is_sure = confidence >= threshold
    n_sure = int(is_sure.sum())
    right = wilson_interval(int(hits[is_sure].sum()), n_sure) if n_sure else None
    return Sure(wilson_interval(n_sure, len(hits)), right)


def likely_from(predictions: pd.DataFrame, coverage: float) -> float:
    """The probability from which on a genre is likely, so that sets of them hold the right one.

    By split conformal prediction (Sadinle et al. 2019, JASA, as mapie has it): of tracks like
    these, at least the share `coverage` has its genre in the set. 0, all genres, where these are
    too few for so large a share.
    """
    whole = by_recording(predictions)
    if len(whole) <= max(1 / coverage, 1 / (1 - coverage)):  # what mapie refuses
        return 0.0
    # Imported here: what only looks at the thresholds of a model does without it.
    from mapie.classification import SplitConformalClassifier
    from mapie.conformity_scores import LACConformityScore

    from genre_mlflow.evaluation.known_answers import KnownAnswers

    shares, score = probabilities(whole), LACConformityScore()
    known = KnownAnswers().fit(shares, np.arange(len(genres_of(whole))))
    sets = SplitConformalClassifier(known, coverage, conformity_score=score, prefit=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of genres without a track
        sets.conformalize(shares, places(whole))
    sets.predict_set(shares[:1])  # only then it takes the quantile
    return max(0.0, 1 - float(score.quantiles_[0]))


@dataclass(frozen=True)
class Sets:
    """The share of tracks whose genre is among the likely ones, and how many these are."""

    coverage: Interval
    mean_size: float


def likely_sets(predictions: pd.DataFrame, threshold: float) -> Sets:
    """What the sets of likely genres hold, of which the most probable genre always is one."""
    whole = by_recording(predictions)
    shares = probabilities(whole)
    rows = np.arange(len(shares))
    is_likely = shares >= threshold
    is_likely[rows, shares.argmax(axis=1)] = True
    hits = is_likely[rows, places(whole)]
    found = wilson_interval(int(hits.sum()), len(hits))
    return Sets(found, float(is_likely.sum(axis=1).mean()))
