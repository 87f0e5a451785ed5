import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.distributions import (
    ends,
    grid,
    in_words,
    make_distribution,
    nearest,
    suggest,
)

ranges = st.one_of(
    st.builds(
        lambda low, width: FloatDistribution(low, low + width),
        st.floats(-10, 10), st.floats(1e-3, 100),
    ),
    st.builds(
        lambda low, factor: FloatDistribution(low, low * factor, log=True),
        st.floats(1e-6, 1), st.floats(1.01, 1e4),
    ),
    st.builds(
        lambda low, steps, step: IntDistribution(low, low + steps * step, step=step),
        st.integers(0, 100), st.integers(1, 20), st.integers(1, 9),
    ),
    st.builds(
        lambda low, steps, step: make_distribution(
            "dropout", float, {"low": low, "high": low + steps * step, "step": step}
        ),
        st.integers(0, 100), st.integers(1, 20), st.sampled_from([0.05, 0.1, 0.25, 2.0]),
    ),
)  # fmt: skip


@given(ranges, st.floats(-1e6, 1e6))
def test_nearest_value_lies_in_the_range_and_stays(
    values: FloatDistribution | IntDistribution, value: float
) -> None:
    found = nearest(values, value)
    assert values.low <= found <= values.high
    assert nearest(values, found) == pytest.approx(found)
    if values.low <= value <= values.high:
        assert abs(found - value) <= (values.step or 0) / 2 + 1e-9


@given(ranges)
def test_grid_goes_from_end_to_end_and_holds_what_optuna_may_suggest(
    values: FloatDistribution | IntDistribution,
) -> None:
    found = grid(values)
    assert (found[0], found[-1]) == pytest.approx(ends(values))
    assert found == sorted(set(found))
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    suggested = suggest(trial, "x", values)
    assert values.low <= suggested <= values.high
    assert trial.distributions == {"x": values}
    assert all(values._contains(values.to_internal_repr(value)) for value in found)


def test_steps_end_where_the_last_one_fits() -> None:
    values = make_distribution("dropout", float, {"low": 0.0, "high": 0.5, "step": 0.2})
    assert values == FloatDistribution(0.0, 0.4, step=0.2)
    assert grid(values) == pytest.approx([0.0, 0.2, 0.4])
    assert in_words(values) == "0 to 0.4 in steps of 0.2"


@pytest.mark.parametrize(
    ("low", "high", "step", "n_values"),
    [(0.1 * 3, 1, 0.2, 4), (0.1, 0.5, 1 / 3, 2), (0, 0.1 + 0.2, 0.1, 4), (0.3, 2, 1 / 3, 6),
     (1e-4, 0.1 * 15, 0.1 * 3, 5), (0, 1 - 0.9, 0.05, 3), (0, 1e-14, 2e-15, 6),
     (102, 102.05, 0.05, 2), (0.1 * 3, 0.6, 0.1 * 3, 2)],
)  # fmt: skip
def test_steps_of_numbers_that_a_program_has_worked_out_are_all_there(
    low: float, high: float, step: float, n_values: int
) -> None:
    values = make_distribution("lr", float, {"low": low, "high": high, "step": step})
    assert len(grid(values)) == n_values
    trial = optuna.create_study().ask()
    suggest(trial, "x", values)
    assert trial.distributions == {"x": values}


def test_whole_numbers_without_a_step_are_no_steps_of_one() -> None:
    values = make_distribution("head_width", int, {"low": 1, "high": 9})
    assert values == IntDistribution(1, 9)
    assert grid(values) == [1, 3, 5, 7, 9]
    assert in_words(values) == "1 to 9"


def test_choice_outside_of_the_list_becomes_the_first() -> None:
    values = CategoricalDistribution((16, 32))
    assert (nearest(values, 32), nearest(values, 64)) == (32, 16)
    assert grid(values) == [16, 32]
