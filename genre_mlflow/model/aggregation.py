"""From the probabilities of a track's segments to those of the track."""

import torch
from torch import Tensor

from genre_mlflow.model.settings import AGGREGATIONS


def aggregate(probabilities: Tensor, owners: Tensor, aggregation: str) -> Tensor:
    """Probabilities of each track from those of its segments.

    Parameters
    ----------
    probabilities
        Shape `[segments, genres]`; 0 to 1, each row sums to 1.
    owners
        Shape `[segments]`, int64: the track of each segment, 0 to tracks - 1, each at least once.
    aggregation
        `mean` of the segments; `vote`: the share of the segments whose most probable genre it is,
        the mean counting as one vote more, which breaks ties; `max`: the highest of any segment,
        scaled to sum to 1.

    Returns
    -------
    Shape `[tracks, genres]`, each row sums to 1. A track of one segment has that segment's.
    """
    n_tracks, n_genres = int(owners.max()) + 1, probabilities.shape[1]
    counts = torch.bincount(owners, minlength=n_tracks).unsqueeze(1)
    zeros = probabilities.new_zeros(n_tracks, n_genres)
    if aggregation == "max":
        index = owners.unsqueeze(1).expand_as(probabilities)
        highest = zeros.scatter_reduce(0, index, probabilities, "amax")
        return torch.where(counts > 1, highest / highest.sum(dim=1, keepdim=True), highest)
    mean = zeros.index_add(0, owners, probabilities) / counts
    if aggregation == "mean":
        return mean
    assert aggregation == "vote", f"{aggregation!r} is none of {AGGREGATIONS}"
    ballots = torch.nn.functional.one_hot(probabilities.argmax(dim=1), n_genres)
    votes = zeros.index_add(0, owners, ballots.to(zeros.dtype))
    return torch.where(counts > 1, (votes + mean) / (counts + 1), mean)


def aggregate_logits(logits: Tensor, owners: Tensor, aggregation: str) -> Tensor:
    """Logits of each track, `[tracks, genres]`, whose softmax is what `aggregate` gives.

    From logits of its segments, `[segments, genres]`: of a track of one segment they are that
    segment's own, of one of several the logarithms of its aggregated probabilities, of which 0
    counts as the smallest normal number (-87 in float32) so that all are finite.
    """
    whole = aggregate(logits.softmax(dim=1), owners, aggregation)
    single = torch.bincount(owners).unsqueeze(1) == 1
    own = torch.zeros_like(whole).index_add(0, owners, logits)
    finite = whole.clamp_min(torch.finfo(whole.dtype).tiny).log()
    return torch.where(single, own, finite)
