"""What a model costs: ratios, their interval, and what is unknown."""

import numpy as np
import pytest

from genre_mlflow.evaluation.cost import Cost, latency_ratio, size_ratio


@pytest.mark.parametrize(("one", "other", "ratio"), [(50, 100, 0.5), (0, 100, 1), (100, 0, 1)])
def test_weights_that_are_unknown_save_nothing(one, other, ratio):
    assert size_ratio(Cost(one), Cost(other)) == ratio


def test_the_p95_is_that_of_the_slow_answers():
    assert Cost(0, tuple(range(101))).p95_ms == 95


def test_what_slows_both_is_no_difference():
    rng = np.random.default_rng(0)
    slow = rng.exponential(30, 60)
    one, other = (Cost(0, tuple(slow + rng.normal(20, 0.5, 60))) for _ in range(2))
    found = latency_ratio(one, other)
    assert found.low <= 1 <= found.high
    assert found.high - found.low < 0.1
    assert found.n == 60


def test_half_the_time_is_half():
    took = np.random.default_rng(0).uniform(20, 30, 60)
    found = latency_ratio(Cost(0, tuple(took / 2)), Cost(0, tuple(took)))
    assert found.mean == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))


def test_only_what_is_known_is_evidence():
    assert Cost().evidence() == {}
    assert Cost(1_300_000).evidence() == {"weights_mb": "1.3"}
    assert Cost(0, (1.0, 1.0), 512.4).evidence() == {"p95_latency_ms": "1.0", "memory_mb": "512"}
