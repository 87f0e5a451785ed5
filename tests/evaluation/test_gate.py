"""Who passes the gate: worked out by hand, at the ends of what is allowed, and for any two."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlflow.errors import DataError, SettingsError
from genre_mlflow.evaluation.cost import Cost
from genre_mlflow.evaluation.gate import Verdict, judge
from genre_mlflow.evaluation.gate_settings import GateSettings
from genre_mlflow.evaluation.predictions import with_answers
from genre_mlflow.evaluation.verdict_words import sentence

GENRES = ["blues", "jazz", "rock"]


def table(right: dict[str, tuple[int, int]], sure: float = 1.0, of_group: int = 1) -> pd.DataFrame:
    """Predictions of tracks by genre: the first so many right, of so many; else the next genre."""
    rows, logits = [], []
    for place, (genre, (n_right, n)) in enumerate(right.items()):
        for i in range(n):
            rows.append((f"{genre}/{i}", genre, f"{genre}/{i // of_group}"))
            said = place if i < n_right else (place + 1) % len(GENRES)
            logits.append([sure * (other == said) for other in range(len(GENRES))])
    found = pd.DataFrame(rows, columns=["track_id", "genre", "group"])
    found = found.assign(path=found["track_id"], split="test")
    return with_answers(found, np.array(logits, np.float32), GENRES)


def scores(*right: int, of: int = 20, **more: float) -> pd.DataFrame:
    return table(dict(zip(GENRES, [(n, of) for n in right], strict=True)), **more)


WEAK = scores(8, 8, 8)


def test_a_clearly_better_challenger_passes_and_says_by_how_much():
    verdict = judge(scores(14, 14, 14), WEAK, GateSettings())
    assert verdict.passed
    assert sentence(verdict, "version 2", "version 1").startswith(
        "version 2 is better than the champion, version 1: 70.0% against 40.0% of the test set, "
        "+30.0 points (95 % interval +18.3 to +41.7, over 60 tracks)"
    )
    assert verdict.notes() == []


@pytest.mark.parametrize(("right", "standing", "advice"), [
    ((8, 8, 8), "A is not shown to be better than", "use --force"),
    ((9, 8, 8), "A is not shown to be better than", "more test tracks make the interval narrower"),
    ((4, 4, 4), "A is worse than", "use --force --why TEXT to promote it all the same"),
])  # fmt: skip
def test_equal_hardly_better_and_worse_are_refused_with_figures_and_advice(right, standing, advice):
    verdict = judge(scores(*right), WEAK, GateSettings(max_recall_drop=100))
    said = sentence(verdict, "A", "B")
    assert not verdict.passed
    assert said.startswith(standing)
    assert ", where the interval must lie above 0; " in said
    assert advice in said
    assert ("more test tracks" in said) == (right == (9, 8, 8))
    assert "over 60 tracks" in said


def test_tracks_of_one_group_are_no_evidence_of_their_own():
    assert judge(scores(14, 8, 8), WEAK, GateSettings()).passed
    one, other = (scores(n, 8, 8, of_group=20) for n in (14, 8))
    verdict = judge(one, other, GateSettings())
    assert not verdict.passed
    assert "over 3 groups of 60 tracks" in sentence(verdict, "A", "B")
    assert verdict.evidence()["groups"] == "3"


def test_the_interval_must_lie_above_the_least_gain():
    better, low = scores(14, 14, 14), 18.3
    assert judge(better, WEAK, GateSettings(min_gain=low - 1)).passed
    refused = judge(better, WEAK, GateSettings(min_gain=low + 1))
    assert not refused.passed
    assert "not shown to be better by 19.3 points than" in sentence(refused, "A", "B")
    assert "where the interval must lie above 19.3" in sentence(refused, "A", "B")


@pytest.mark.parametrize(("allowed", "passes"), [(19.9, False), (20.0, True), (20.1, True)])
def test_a_genre_may_lose_what_is_allowed_and_no_more(allowed, passes):
    verdict = judge(scores(20, 20, 4), WEAK, GateSettings(max_recall_drop=allowed))
    assert verdict.passed is passes
    told = "recall of rock drops by 20.0 points on 20 tracks (19.9 allowed)"
    assert (told in sentence(verdict, "A", "B")) is not passes
    assert verdict.evidence()["recall_drops"] == "rock 20.0"


@pytest.mark.parametrize(("tracks", "decides"), [(9, False), (10, True)])
def test_a_genre_of_few_tracks_is_told_and_does_not_decide(tracks, decides):
    before = table({"blues": (8, 40), "jazz": (8, 40), "rock": (6, tracks)})
    after = table({"blues": (40, 40), "jazz": (40, 40), "rock": (0, tracks)})
    verdict = judge(after, before, GateSettings())
    assert verdict.passed is not decides
    assert [("rock" in note, "9 test tracks" in note) for note in verdict.notes()] == (
        [] if decides else [(True, True)]
    )


def test_what_is_over_a_limit_stands_beside_what_falls_in_one_sentence():
    worse = replace(judge(scores(12, 8, 0), WEAK, GateSettings()), over=("its memory is 9 MB",))
    said = sentence(worse, "A", "B")
    for part in ("interval must lie above 0, ", "and recall of rock", "and its memory is 9 MB; "):
        assert part in said
    assert "\n" not in said
    better = judge(scores(14, 14, 14), WEAK, GateSettings())
    assert better.passed
    slow = replace(better, over=("its p95 latency is 9 ms (5 allowed)",))
    assert not slow.passed
    assert "tracks), but its p95 latency is 9 ms (5 allowed); " in sentence(slow, "A", "B")


def test_calibration_errors_are_evidence():
    found = judge(scores(14, 14, 14, sure=9.0), WEAK, GateSettings())
    assert 0.2 < found.calibration < 1
    assert found.evidence()["calibration_error"] == f"{found.calibration:.3f}"
    assert found.evidence()["champion_calibration_error"] == f"{found.calibration_before:.3f}"


@pytest.mark.parametrize(("won", "passes"), [(4, False), (5, False), (6, True)])
def test_a_few_answers_that_all_speak_for_it_are_not_enough(won, passes):
    verdict = judge(scores(8 + won, 8, 8), WEAK, GateSettings())
    assert verdict.above
    assert verdict.chance == 2 * 0.5**won
    assert verdict.passed is passes
    said = f"but a gain so large has a chance of {verdict.chance:.2g} if both are equally good"
    assert (said in sentence(verdict, "A", "B")) is not passes
    assert verdict.evidence()["chance"] == f"{verdict.chance:.4f}"


SMALL = {"cost": Cost(90), "cost_before": Cost(100)}
LIGHT = GateSettings(accept="lighter", margin=5)


def lighter(*right: int, of: int = 100, rule: GateSettings = LIGHT, **costs: Cost) -> Verdict:
    before = scores(50, 50, 50, of=of)
    return replace(judge(scores(*right, of=of), before, rule), **(costs or SMALL))


def timed(*slow: float, of: int = 60) -> Cost:
    """Answers of about these milliseconds."""
    return Cost(100, tuple(ms + i % 7 / 10 for i in range(of) for ms in slow))


def test_one_that_is_not_worse_and_smaller_passes_by_choice():
    verdict = lighter(50, 49, 50)
    assert (verdict.better, verdict.not_worse, verdict.passed) == (False, True, True)
    assert sentence(verdict, "A", "B").startswith(
        "A is not worse by 5 points than the champion, B, and smaller (9e-05 MB of weights, not "
        "0.0001): 49.7% against 50.0% of the test set, "
    )
    assert not lighter(50, 49, 50, rule=GateSettings()).passed


@pytest.mark.parametrize(("weights", "passes"), [(90, True), (91, False), (0, False)])
def test_it_must_save_the_bytes_that_are_asked_for_and_those_must_be_known(weights, passes):
    verdict = lighter(50, 50, 50, cost=Cost(weights), cost_before=Cost(100))
    assert verdict.passed is passes
    assert verdict.may_pass  # it may be faster
    needed = ", where 10 % of weights or p95 latency must be saved; use --force"
    assert (needed in sentence(verdict, "A", "B")) is not passes


@pytest.mark.parametrize(("took", "passes"), [(40, True), (50, False), (60, False)])
def test_it_may_be_faster_instead(took, passes):
    verdict = lighter(50, 50, 50, cost=timed(took), cost_before=timed(50))
    assert verdict.passed is passes
    said = sentence(verdict, "A", "B")
    assert ("and faster (p95 latency 40.6 ms, not 50.6: 80%" in said) is passes
    assert verdict.evidence()["champion_p95_latency_ms"] == "50.6"


def test_a_lighter_one_that_loses_more_than_the_margin_is_refused():
    verdict = lighter(50, 40, 50)
    assert not verdict.may_pass
    said = sentence(verdict, "A", "B")
    assert "is worse than the champion" in said or "is not shown to be no worse by 5 p" in said
    assert "where the interval must lie above -5" in said


def test_few_answers_that_differ_do_not_show_that_it_is_no_worse():
    verdict = lighter(50, 50, 48, of=97, rule=GateSettings(accept="lighter", margin=2))
    assert 100 * verdict.comparison.difference.low > -2
    assert not verdict.may_pass
    assert "but so few answers differ that 2 points may be lost" in sentence(verdict, "A", "B")


def test_a_better_one_needs_not_be_lighter_and_recall_counts_for_a_lighter_one_too():
    assert lighter(80, 80, 80, cost=Cost(900), cost_before=Cost(100)).passed
    verdict = lighter(80, 50, 20, rule=GateSettings(accept="lighter", margin=30))
    assert verdict.lighter
    assert not verdict.passed


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=6, max_size=6))
def test_of_two_models_at_most_one_passes_against_the_other(right):
    one, other = scores(*right[:3], of=12), scores(*right[3:], of=12)
    assert not (judge(one, other, GateSettings()).passed
                and judge(other, one, GateSettings()).passed)  # fmt: skip
    assert not judge(one, one, GateSettings()).passed


def test_other_tracks_are_refused():
    with pytest.raises(DataError, match="on the same tracks alone"):
        judge(scores(5, 5, 5, of=10), WEAK, GateSettings())


@pytest.mark.parametrize("name", ["min_gain", "margin", "max_recall_drop"])
@pytest.mark.parametrize("value", [-0.1, 100.1, float("nan")])
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(SettingsError, match=f"{name} is {value}; allowed are 0 to"):
        GateSettings(**{name: value})
