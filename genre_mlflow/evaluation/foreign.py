"""What the music of a corpus is like, and how far from it sound is foreign.

Pure functions of statistics of segments, float32 `[segments, F]`, with the track of each, `owners`.
"""

import math

import torch
from torch import Tensor

from genre_mlflow.evaluation.calibration import FEWEST
from genre_mlflow.model.familiarity import Familiarity

MOST = 2000  # segments that are kept to compare with: 7 MB, and 1 ms an answer
NARROWEST = 1e-6  # deviation of a statistic that is the same everywhere


def fit_familiarity(
    learnt: Tensor, held_out: Tensor, owners: Tensor, share: float
) -> Familiarity | None:
    """What the tracks in `learnt` are like, and how far those that were held out lie from them.

    The distance is that of the recording below which the share lies, counted so that a further
    one is below it in that share of cases too (of few recordings it is the farthest). None for
    fewer than `FEWEST` recordings.
    """
    n_held_out = int(owners.max()) + 1
    if n_held_out < FEWEST:
        return None
    mean, deviation = learnt.mean(dim=0), learnt.std(dim=0, correction=0)
    deviation = deviation.clamp_min(NARROWEST)
    references = (learnt - mean) / deviation
    measure = Familiarity(mean, deviation, references, farthest=1.0)
    scores = sorted(map(measure.score, by_owner(held_out, owners)))
    rank = min(n_held_out, math.ceil((n_held_out + 1) * share))
    return Familiarity(mean, deviation, references, max(scores[rank - 1], NARROWEST))


def by_owner(statistics: Tensor, owners: Tensor) -> tuple[Tensor, ...]:
    """The segments of each recording, from 0 on, `[segments, F]` each; each must have one."""
    order = owners.argsort(stable=True)
    return statistics[order].split(torch.bincount(owners).tolist())


def some(n: int) -> Tensor:
    """Places of at most `MOST` of so many segments, evenly spread, int64."""
    return torch.linspace(0, n - 1, min(n, MOST)).round().long()
