"""Shares of a batch, put together, are the batch: what is drawn, normed and learnt."""

from copy import deepcopy
from threading import Barrier, Thread

import pytest
import torch
from torch import nn
from torch.nn import functional

from genre_mlflow.training.whole_batch import Share, WholeBatch, shares_of

UNEVEN = [(8, 2), (7, 2), (5, 3), (3, 3), (2, 3), (1, 2), (1, 4)]  # rows, processes


@pytest.mark.parametrize(("n", "size"), UNEVEN)
def test_each_row_is_one_processs_and_none_has_two_more_than_another(n, size):
    shares = shares_of(n, size)
    rows = [row for share in shares if share.counts for row in range(n)[share.rows]]
    assert rows == list(range(n))
    counts = [share.n for share in shares]
    assert max(counts) - min(counts) <= 1
    assert all(share == Share(slice(0, 1), 0.0) for share in shares if not share.n)


class Sum:
    """Adds up what threads give, each for a process of a group."""

    def __init__(self, size):
        self.given, self.barrier = [None] * size, Barrier(size, timeout=30)

    def of(self, number):
        def total(values):
            self.given[number] = values
            self.barrier.wait()
            found = torch.stack(self.given).sum(0)
            self.barrier.wait()
            return found

        return total


def in_threads(size, work):
    """What `work(number, total)` gives to each of so many processes."""
    found, added = [None] * size, Sum(size)

    def one(number):
        found[number] = work(number, added.of(number))

    threads = [Thread(target=one, args=(number,)) for number in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(),
                         nn.Linear(3 * 16, 2))  # fmt: skip


def gradients(network):
    return [parameter.grad for parameter in network.parameters()]


@pytest.mark.parametrize(("n", "size"), UNEVEN)
def test_gradients_and_statistics_of_uneven_shares_are_those_of_the_batch(network, n, size):
    rows = torch.randn(n, 1, 6, 6) + 30  # far from 0, beside a deviation of 1
    genres, weights = torch.arange(n) % 2, torch.tensor([0.3, 1.7])
    whole, shares = deepcopy(network), shares_of(n, size)
    functional.cross_entropy(whole(rows), genres, weights).backward()
    total_weight = weights[genres].sum()

    def learn(number, total):
        own, mine = deepcopy(network), shares[number]
        with WholeBatch(shares, number, total):
            logits = own(rows[mine.rows])
        loss = functional.cross_entropy(logits, genres[mine.rows], weights, reduction="sum")
        (loss * mine.counts / total_weight).backward()
        return own

    learnt = in_threads(size, learn)
    summed = [torch.stack(parts).sum(0) for parts in zip(*map(gradients, learnt), strict=True)]
    for ours, theirs in zip(summed, gradients(whole), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    for own in learnt:
        torch.testing.assert_close(own[1].running_mean, whole[1].running_mean)
        torch.testing.assert_close(own[1].running_var, whole[1].running_var)


def dropped(values):
    return functional.dropout(values, 0.5)


def dropped_in_place(values):
    return functional.dropout(values.clone(), 0.5, inplace=True)


def without_branches(values):
    return values * values.new_empty(len(values), 1).bernoulli_(0.5)


@pytest.mark.parametrize("draw", [dropped, dropped_in_place, without_branches])
@pytest.mark.parametrize(("n", "size"), [(7, 2), (5, 3)])
def test_what_is_drawn_for_shares_is_what_is_drawn_for_the_batch(draw, n, size):
    values = torch.randn(n, 40)
    torch.manual_seed(1)
    whole, after = draw(values), torch.rand(())
    for number, share in enumerate(shares_of(n, size)):
        torch.manual_seed(1)
        with WholeBatch(shares_of(n, size), number, lambda values: values):
            ours = draw(values[share.rows])
        assert torch.equal(ours, whole[share.rows])
        assert torch.equal(torch.rand(()), after)  # and all go on alike


def test_what_does_not_learn_is_left_as_it_is(network):
    rows = torch.randn(4, 1, 6, 6)
    network.eval()
    with torch.no_grad(), WholeBatch(shares_of(4, 2), 0, lambda values: values):
        found = network(rows[:2])
    torch.testing.assert_close(found, network(rows)[:2])
