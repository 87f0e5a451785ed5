"""Exact tests of two models: worked out by hand, and as scipy has them."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, permutation_test

from genre_mlflow.evaluation.exact import flips_p, gains_by_group, score_z


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (4, 0), (5, 1), (3, 8), (40, 22)])
def test_of_single_tracks_the_sign_flips_are_mcnemars_exact_test(won, lost):
    expected = binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert flips_p([1] * won + [-1] * lost + [0] * 9) == pytest.approx(expected)


def test_of_groups_they_are_the_permutation_test():
    gains = [3, -1, 2, 5, -2, 1, 1, 4]
    found = permutation_test(
        (gains,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    assert flips_p(gains) == pytest.approx(found.pvalue)
    assert flips_p([-gain for gain in gains]) == pytest.approx(found.pvalue)


def test_few_groups_can_show_nothing():
    assert flips_p([9, 9, 9, 9]) == 0.125


@pytest.mark.parametrize(("won", "lost", "n"), [(30, 10, 100), (5, 5, 290), (1, 40, 300)])
def test_for_no_difference_the_score_test_is_mcnemars(won, lost, n):
    assert score_z(won, lost, n, 0.0) == pytest.approx((won - lost) / (won + lost) ** 0.5)


@pytest.mark.parametrize(("won", "lost", "difference"), [(3, 5, -0.1), (9, 2, 0.05), (0, 1, -0.2)])
def test_the_standard_error_is_that_of_the_likeliest_shares_with_this_difference(
    won, lost, difference
):
    n = 60

    def unlikeliness(share: float) -> float:
        return -(won * np.log(share + difference) + lost * np.log(share)
                 + (n - won - lost) * np.log(1 - 2 * share - difference))  # fmt: skip

    ends = max(0, -difference) + 1e-9, (1 - difference) / 2 - 1e-9
    share = minimize_scalar(unlikeliness, bounds=ends, method="bounded").x
    error = np.sqrt(n * (2 * share + difference * (1 - difference)))
    assert score_z(won, lost, n, difference) == pytest.approx(
        (won - lost - n * difference) / error, rel=1e-3
    )


@pytest.mark.parametrize(("lost", "shown"), [(0, True), (1, True), (2, False), (6, False)])
def test_how_many_tracks_may_be_lost_for_two_points_of_290_to_be_shown_not_lost(lost, shown):
    assert (score_z(0, lost, 290, -0.02) >= 1.96) is shown


def test_a_gain_above_the_difference_is_positive_and_grows():
    found = [score_z(won, 10, 200, -0.05) for won in range(0, 30, 5)]
    assert found == sorted(found)
    assert score_z(0, 10, 200, -0.05) == pytest.approx(0)


def test_gains_are_summed_by_group():
    rows = pd.DataFrame({"group": ["b", "a", "b"], "a_right": [1.0, 0, 1], "b_right": [0, 1.0, 0]})
    assert gains_by_group(rows) == [-1, 2]
