"""Order and segments of an epoch: all there, drawn anew, and the same for the same seed."""

import pytest
import torch
from torch.utils.data import BatchSampler, Sampler

from genre_mlflow.data.sampler import EpochSampler

OWNERS = torch.tensor([0, 1, 1, 1, 2, 2])
KINDS = ("all", "random")


def epochs(segments: str, seed: int, n: int = 40) -> list[list[int]]:
    torch.manual_seed(seed)
    sampler = EpochSampler(OWNERS, segments)
    return [list(sampler) for _ in range(n)]


def test_all_takes_every_segment_once():
    assert len(EpochSampler(OWNERS, "all")) == 6
    for order in epochs("all", seed=5):
        assert sorted(order) == [0, 1, 2, 3, 4, 5]


def test_random_takes_one_segment_of_every_track_and_in_time_each():
    assert len(EpochSampler(OWNERS, "random")) == 3
    orders = epochs("random", seed=5)
    for order in orders:
        assert sorted(OWNERS[order].tolist()) == [0, 1, 2]
    assert {item for order in orders for item in order} == {0, 1, 2, 3, 4, 5}
    assert len({tuple(OWNERS[order].tolist()) for order in orders}) == 6  # and all orders of them


@pytest.mark.parametrize("segments", KINDS)
def test_epochs_differ_and_depend_on_the_seed_of_torch_alone(segments):
    assert epochs(segments, seed=5) == epochs(segments, seed=5)
    assert epochs(segments, seed=5) != epochs(segments, seed=6)
    assert len({tuple(order) for order in epochs(segments, seed=5)}) > 10


@pytest.mark.parametrize("segments", KINDS)
def test_it_is_a_sampler_that_torch_makes_batches_of(segments):
    sampler = EpochSampler(OWNERS, segments)
    assert isinstance(sampler, Sampler)
    batches = list(BatchSampler(sampler, 2, drop_last=False))
    assert sum(len(batch) for batch in batches) == len(sampler)
