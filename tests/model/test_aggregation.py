"""The answers for the segments of a track become one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlflow.model.aggregation import aggregate, aggregate_logits
from genre_mlflow.model.settings import AGGREGATIONS

SEGMENTS = torch.tensor([[0.9, 0.1, 0.0], [0.3, 0.7, 0.0], [0.4, 0.6, 0.0], [0.2, 0.2, 0.6]])
OWNERS = torch.tensor([0, 0, 0, 1])


@pytest.mark.parametrize(
    ("aggregation", "first"),
    [
        ("mean", [1.6 / 3, 1.4 / 3, 0.0]),
        ("vote", [(1 + 1.6 / 3) / 4, (2 + 1.4 / 3) / 4, 0.0]),
        ("max", [0.9 / 1.6, 0.7 / 1.6, 0.0]),
    ],
)
def test_the_ways_differ_and_a_single_segment_speaks_for_itself(aggregation, first):
    whole = aggregate(SEGMENTS, OWNERS, aggregation)
    assert whole[0].tolist() == pytest.approx(first, abs=1e-6)
    assert whole[1].equal(SEGMENTS[3])


def test_a_tie_of_votes_goes_to_the_surer_segments():
    tied = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    assert aggregate(tied, torch.tensor([0, 0]), "vote")[0].argmax() == 0


@settings(deadline=None)  # the first call may take seconds on a busy machine
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.sampled_from(AGGREGATIONS))
def test_probabilities_of_every_track_sum_to_one_in_any_order(tracks, aggregation):
    owners = torch.unique(torch.tensor(tracks), return_inverse=True)[1]
    generator = torch.Generator().manual_seed(len(tracks))
    parts = torch.rand(len(tracks), 3, generator=generator).softmax(dim=1)
    whole = aggregate(parts, owners, aggregation)
    torch.testing.assert_close(whole.sum(dim=1), torch.ones(int(owners.max()) + 1))
    order = torch.randperm(len(tracks), generator=generator)
    torch.testing.assert_close(aggregate(parts[order], owners[order], aggregation), whole)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_softmax_of_a_tracks_logits_is_its_aggregated_probabilities(aggregation):
    logits = torch.tensor([[2.0, 1.0, -300.0], [0.0, 3.0, -300.0], [5.0, 4.0, 9.0]])
    owners = torch.tensor([1, 1, 0])
    whole = aggregate_logits(logits, owners, aggregation)
    assert whole[0].equal(logits[2])  # of a single segment they are its own
    assert whole.isfinite().all()
    expected = aggregate(logits.softmax(dim=1), owners, aggregation)
    torch.testing.assert_close(whole.softmax(dim=1), expected, rtol=1e-6, atol=1e-37)
