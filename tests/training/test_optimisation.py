"""Schedules as drawn on paper, and weights that make genres equal."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from genre_mlflow.errors import SettingsError
from genre_mlflow.training.layout import lay_back, lay_out
from genre_mlflow.training.optimisation import (
    class_weights,
    make_average,
    make_optimizer,
    make_schedule,
)
from genre_mlflow.training.settings import SCHEDULES, TrainingSettings


def rates(name: str, steps: int, lr: float = 0.1) -> list[float]:
    """The learning rate that each of the steps is taken with."""
    optimizer = make_optimizer(nn.Linear(1, 1), TrainingSettings(lr=lr))
    schedule = make_schedule(optimizer, name, steps)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_optimizer_is_adamw_whose_decay_spares_norms_and_biases():
    settings = TrainingSettings(lr=0.02, weight_decay=0.3)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    optimizer = make_optimizer(network, settings)
    assert type(optimizer) is torch.optim.AdamW
    decaying, spared = optimizer.param_groups
    assert (decaying["lr"], spared["lr"]) == (0.02, 0.02)
    assert (decaying["weight_decay"], spared["weight_decay"]) == (0.3, 0.0)
    assert {id(p) for p in decaying["params"]} == {id(network[0].weight), id(network[2].weight)}
    assert len(spared["params"]) == 4


def test_an_average_follows_the_weights_slower_and_slower():
    network = nn.Linear(1, 1, bias=False)
    average = make_average(network, 0.5)
    means, expected, mean = [], [], 0.0
    for n in range(6):
        with torch.no_grad():
            network.weight.fill_(float(n + 1))
        average.update_parameters(network)
        means.append(average.module.weight.item())
        decay = min(0.5, (1 + n) / (10 + n)) if n else 0.0
        mean = decay * mean + (1 - decay) * (n + 1)
        expected.append(mean)
    assert means == pytest.approx(expected)
    assert make_average(network, 0.0) is None


def test_none_stays():
    assert rates("none", 7) == [0.1] * 7


def test_cosine_falls_from_the_rate_to_nothing():
    found = rates("cosine", 11)
    expected = [0.1 * (1 + math.cos(math.pi * i / 10)) / 2 for i in range(11)]
    assert found == pytest.approx(expected, abs=1e-12)


def test_one_cycle_rises_to_the_rate_then_falls_to_a_ten_thousandth():
    found = rates("one-cycle", 101)
    assert found[0] == pytest.approx(0.1 / 25)
    assert found[30] == pytest.approx(0.1) == max(found)
    assert found[-1] == pytest.approx(0.1 * 1e-4)
    assert all(a < b for a, b in pairwise(found[:31]))
    assert all(a > b for a, b in pairwise(found[30:]))


def test_stable_decay_stays_then_falls_to_nothing_in_the_last_fifth():
    found = rates("stable-decay", 101)
    assert found[:81] == pytest.approx([0.1] * 81)
    assert found[80:] == pytest.approx([0.1 * (20 - i) / 20 for i in range(21)])


@pytest.mark.parametrize("name", SCHEDULES)
def test_one_step_is_enough(name):
    assert rates(name, 1)[0] > 0


def test_balanced_weights_make_genres_equal():
    labels = torch.tensor([0] * 6 + [1] * 3 + [2] * 1)
    weights = class_weights(labels, 3, "balanced")
    assert torch.allclose(weights, torch.tensor([10 / 18, 10 / 9, 10 / 3]))
    totals = [weights[g] * (labels == g).sum() for g in range(3)]
    assert torch.allclose(torch.stack(totals), torch.tensor(10 / 3))
    assert float(weights[labels].mean()) == pytest.approx(1)


def test_balanced_weights_of_equal_genres_are_one():
    weights = class_weights(torch.arange(12) % 4, 4, "balanced")
    assert torch.allclose(weights, torch.ones(4))


def test_without_weights_all_are_one():
    assert class_weights(torch.tensor([0, 0, 1]), 2, "none").tolist() == [1, 1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs is 0; allowed are 1 to 100000"),
        ({"epochs": 100_001}, "epochs is 100001"),
        ({"batch_size": 0}, "batch_size is 0; allowed are 1 to 65536"),
        ({"lr": 0.0}, r"lr is 0\.0; allowed are values above 0 up to 10"),
        ({"lr": 10.1}, r"lr is 10\.1"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"weight_decay": -0.1}, r"weight_decay is -0\.1; allowed are 0 to 10"),
        ({"weight_decay": float("inf")}, "weight_decay is inf"),
        ({"patience": -1}, "patience is -1"),
        ({"seed": -1}, "seed is -1; allowed are 0 to 4294967295"),
        ({"seed": 2**32}, "seed is 4294967296"),
        (
            {"schedule": "step"},
            "schedule is 'step'; allowed are none, cosine, one-cycle, stable-decay",
        ),
        ({"class_weights": "x"}, "class_weights is 'x'; allowed are none, balanced"),
        ({"keep": "none"}, "keep is 'none'; allowed are best-last, all"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        TrainingSettings(**values)


@pytest.mark.parametrize("values", [{"epochs": 1}, {"lr": 10.0}, {"seed": 2**32 - 1}])
def test_settings_at_the_edge_are_taken(values):
    TrainingSettings(**values)


@pytest.mark.parametrize(("channels", "last"), [((16, 64), True), ((8, 64), False)])
def test_maps_lie_channels_last_where_these_fill_registers_and_are_laid_back(channels, last):
    torch.manual_seed(0)
    first, second = channels
    network = nn.Sequential(nn.Conv2d(1, first, 3), nn.ReLU(), nn.Conv2d(first, second, 3))
    pixels = torch.rand(2, 1, 9, 9)
    before = network(pixels)
    lay_out(network)
    assert network[2].weight.is_contiguous(memory_format=torch.channels_last) == last
    assert torch.allclose(network(pixels), before, atol=1e-6)
    lay_back(network)
    assert network[2].weight.is_contiguous()
    assert torch.equal(network(pixels), before)
