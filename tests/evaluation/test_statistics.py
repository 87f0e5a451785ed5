"""Intervals and tests against published figures, scipy's own and what must hold of any data."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.predictions import with_answers
from genre_mlflow.evaluation.statistics import (
    Disagreement,
    Interval,
    accuracy_difference,
    mcnemar,
    mean_interval,
    wilson_interval,
)

# Hours of sleep that ten patients gained by either drug (Student 1908, Biometrika 6).
LAEVO = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
DEXTRO = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]


def ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def test_interval_of_232_in_290_is_that_of_the_design():
    found = wilson_interval(232, 290)
    assert (found.mean, found.n) == (0.8, 290)
    assert (round(found.low, 3), round(found.high, 3)) == (0.750, 0.842)


@pytest.mark.parametrize(
    ("n_right", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (1, 1, 0.2065, 1.0)],
)
def test_interval_at_the_edges(n_right, n, low, high):
    assert ends(wilson_interval(n_right, n)) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("n_right", "n"), [(0, 1), (1, 1), (0, 290), (290, 290), (232, 290)])
def test_interval_is_wilsons_formula(n_right, n):
    share, z2 = n_right / n, 1.959963984540054**2
    centre, spread = share + z2 / (2 * n), share * (1 - share) / n + z2 / (4 * n * n)
    by_hand = [(centre + sign * math.sqrt(z2 * spread)) / (1 + z2 / n) for sign in (-1, 1)]
    assert ends(wilson_interval(n_right, n)) == pytest.approx(by_hand, abs=1e-12)
    assert (wilson_interval(0, n).low, wilson_interval(n, n).high) == (0, 1)


@given(n=st.integers(1, 2000), data=st.data())
def test_interval_holds_the_share_and_is_a_share(n, data):
    n_right = data.draw(st.integers(0, n))
    low, high = ends(wilson_interval(n_right, n))
    assert 0 <= low <= n_right / n + 1e-12
    assert n_right / n - 1e-12 <= high <= 1
    mirrored = ends(wilson_interval(n - n_right, n))
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize(("n_right", "n"), [(0, 0), (-1, 3), (4, 3), (0, -1)])
def test_what_is_no_share_is_refused(n_right, n):
    with pytest.raises(DataError, match=f"^{n_right} of {n} is no share; allowed are 0 to n"):
        wilson_interval(n_right, n)


# Seeds


def test_students_own_figures():
    found = mean_interval(np.subtract(LAEVO, DEXTRO))
    assert found.n == 10
    assert found.mean == pytest.approx(1.58)
    assert ends(found) == pytest.approx((0.7001142, 2.4598858), abs=1e-7)  # of t.test in R


numbers = st.lists(st.floats(0, 1), min_size=2, max_size=9).filter(lambda v: np.std(v) > 1e-6)


@given(values=numbers)
def test_interval_of_a_mean_is_that_of_scipy(values):
    found = mean_interval(values)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert ends(found) == pytest.approx(tuple(expected), rel=1e-9)
    assert found.mean == pytest.approx((found.low + found.high) / 2)


def test_equal_values_have_an_interval_without_width():
    assert mean_interval([0.5] * 3) == Interval(0.5, 0.5, 0.5, 3)


@pytest.mark.parametrize("values", [[], [0.5]])
def test_fewer_than_two_seeds_are_refused(values):
    with pytest.raises(DataError, match=f"needs two values or more, not {len(values)}$"):
        mean_interval(values)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(DataError, match=rf"needs numbers, not 0\.5, {value}$"):
        mean_interval([0.5, value])


# Tracks


def table(answers: str, groups: str = "") -> pd.DataFrame:
    """Predictions, of which those marked + are right and those marked - are wrong."""
    ids = [f"rock/{i:03d}" for i in range(len(answers))]
    rows = pd.DataFrame({"track_id": ids, "path": ids, "split": "test", "genre": "rock",
                         "group": list(groups or ids)})  # fmt: skip
    logits = [[1.0, 0.0] if answer == "+" else [0.0, 1.0] for answer in answers]
    return with_answers(rows, np.array(logits, np.float32), ["rock", "jazz"])


def test_mcnemar_of_published_counts():
    both = [("++", 101), ("+-", 121), ("-+", 59), ("--", 33)]
    found = mcnemar(*(table("".join(pair[i] * n for pair, n in both)) for i in (0, 1)))
    assert (found.n, found.only_one, found.only_other) == (314, 121, 59)
    assert found.p == pytest.approx(4.434444926375551e-06)  # of statsmodels, exact


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [("++++--", "++++--", 1), ("+-", "-+", 1), ("+++++", "-----", 2 / 32), ("-++", "+--", 1)],
)
def test_mcnemar_by_hand(one, other, p):
    assert mcnemar(table(one), table(other)).p == pytest.approx(p)
    assert mcnemar(table(other), table(one)).p == pytest.approx(p)


def test_mcnemar_pairs_tracks_by_their_names():
    one, other = table("++-+-"), table("+---+")
    assert mcnemar(one, other.iloc[::-1]) == Disagreement(5, 2, 1, 1)


rng = np.random.default_rng(0)
BETTER, WORSE = ("".join(np.where(rng.random(300) < share, "+", "-")) for share in (0.7, 0.6))


def test_a_bootstrap_has_the_width_of_the_formula_for_many_tracks():
    gains = np.array([(a == "+") - (b == "+") for a, b in zip(BETTER, WORSE, strict=True)], float)
    found = accuracy_difference([table(BETTER)], [table(WORSE)])
    reach = 1.96 * gains.std() / math.sqrt(300)
    assert (found.mean, found.n) == (pytest.approx(gains.mean()), 300)
    assert ends(found) == pytest.approx((gains.mean() - reach, gains.mean() + reach), abs=0.006)


def test_a_bootstrap_depends_on_the_seed_and_not_on_the_order_of_the_rows():
    groups = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 300))  # of many sizes
    one, other = table(BETTER, groups), table(WORSE, groups)
    found = [accuracy_difference([one], [other], by_group=True, seed=seed) for seed in (3, 4)]
    assert found[0] != found[1]
    assert accuracy_difference([one.iloc[::-1]], [other], by_group=True, seed=3) == found[0]


def test_groups_of_one_track_are_tracks_and_copies_add_nothing():
    found = accuracy_difference([table(BETTER)], [table(WORSE)])
    assert accuracy_difference([table(BETTER)], [table(WORSE)], by_group=True) == found
    groups = [chr(0x4E00 + i // 4) for i in range(1200)]
    four = [table("".join(4 * a for a in answers), "".join(groups)) for answers in (BETTER, WORSE)]
    clustered = accuracy_difference(four[:1], four[1:], by_group=True)
    assert ends(clustered) == pytest.approx(ends(found))
    assert clustered.n == 300
    single = accuracy_difference(four[:1], four[1:])
    assert single.high - single.low == pytest.approx((found.high - found.low) / 2, rel=0.05)


def test_groups_count_by_their_tracks():
    one, other = table("+++-", "aaab"), table("----", "aaab")
    found = accuracy_difference([one], [other], by_group=True)
    assert found == Interval(0.75, 0.0, 1.0, 2)
    small, large = "abcdefghij", 9 * "ABCDEFGHIJ"  # 10 tracks gained, 90 as they were
    one, other = table("+" * 100, small + large), table("-" * 10 + "+" * 90, small + large)
    found = accuracy_difference([one], [other], by_group=True)
    assert found.mean == pytest.approx(0.1)
    assert 0.02 < found.low < 0.08 < 0.12 < found.high < 0.25


def test_several_seeds_count_by_the_share_that_is_right():
    found = accuracy_difference([table("++--"), table("+-+-")], [table("+---")])
    assert found.mean == pytest.approx((0 + 0.5 + 0.5 + 0) / 4)
    same = accuracy_difference([table("++--")] * 3, [table("+---")] * 2)
    assert same == accuracy_difference([table("++--")], [table("+---")])


def test_equal_answers_differ_by_nothing():
    assert accuracy_difference([table("+-+")], [table("+-+")]) == Interval(0, 0, 0, 3)


def test_segments_of_a_recording_are_one_track():
    ids = ["rock/a.seg000", "rock/a.seg001", "rock/a.seg002", "rock/b"]
    one, other = (table(a).assign(track_id=ids, group=ids) for a in ("++-+", "+--+"))
    assert mcnemar(one, other) == Disagreement(2, 1, 0, 1)
    assert accuracy_difference([one], [other]).n == 2


def test_tables_of_other_tracks_are_refused():
    message = (
        r"^predictions can be compared on the same tracks alone; 2 tracks in one table and not"
    )
    for compare in (mcnemar, lambda a, b: accuracy_difference([a], [b])):
        with pytest.raises(DataError, match=rf"{message} in the other: rock/003, rock/004$"):
            compare(table("+++"), table("+++++"))
        with pytest.raises(DataError, match=r"two true genres of rock/001$"):
            compare(table("++"), table("++").assign(genre=["rock", "jazz"]))
        with pytest.raises(DataError, match="one track or more, not an empty table"):
            compare(table("++").iloc[:0], table("++").iloc[:0])


def test_a_bootstrap_of_one_unit_or_no_table_is_refused():
    with pytest.raises(DataError, match="a bootstrap needs two tracks or more, not 1"):
        accuracy_difference([table("+")], [table("-")])
    with pytest.raises(DataError, match="a bootstrap needs two groups or more, not 1"):
        accuracy_difference([table("++", "aa")], [table("--", "aa")], by_group=True)
    with pytest.raises(DataError, match="tables on both sides, not 1 and 0"):
        accuracy_difference([table("+")], [])
