"""Limits on figures, as MLflow validates them."""

from math import nan

import pytest

from genre_mlflow.tracking.thresholds import exceeded


@pytest.mark.parametrize(("value", "names"), [(0.1, []), (0.09, []), (0.11, ["a"]), (nan, ["a"])])
def test_a_figure_may_reach_its_limit_and_must_be_a_number(value, names):
    assert exceeded({"a": value, "b": 1}, {"a": 0.1, "b": 2}) == names


def test_all_that_are_exceeded_are_named_in_the_order_of_the_figures():
    assert exceeded({"b": 3, "a": 2}, {"a": 1, "b": 1}) == ["b", "a"]


def test_what_has_no_limit_or_no_figure_does_not_count():
    assert exceeded({"a": 5}, {"b": 1}) == []
    assert exceeded({}, {}) == []
