"""Who passes the gate: worked out by hand, at the ends of what is allowed, and for any two."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlflow.errors import DataError, SettingsError
from genre_mlflow.evaluation.gate import judge
from genre_mlflow.evaluation.gate_settings import GateSettings
from genre_mlflow.evaluation.predictions import with_answers

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
    assert verdict.sentence("version 2", "version 1").startswith(
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
    sentence = verdict.sentence("A", "B")
    assert not verdict.passed
    assert sentence.startswith(standing)
    assert ", where the interval must lie above 0; " in sentence
    assert advice in sentence
    assert ("more test tracks" in sentence) == (right == (9, 8, 8))
    assert "over 60 tracks" in sentence


def test_tracks_of_one_group_are_no_evidence_of_their_own():
    assert judge(scores(14, 8, 8), WEAK, GateSettings()).passed
    one, other = (scores(n, 8, 8, of_group=20) for n in (14, 8))
    verdict = judge(one, other, GateSettings())
    assert not verdict.passed
    assert "over 3 groups of 60 tracks" in verdict.sentence("A", "B")
    assert verdict.evidence()["groups"] == "3"


def test_the_interval_must_lie_above_the_least_gain():
    better, low = scores(14, 14, 14), 18.3
    assert judge(better, WEAK, GateSettings(min_gain=low - 1)).passed
    refused = judge(better, WEAK, GateSettings(min_gain=low + 1))
    assert not refused.passed
    assert "not shown to be better by 19.3 points than" in refused.sentence("A", "B")
    assert "where the interval must lie above 19.3" in refused.sentence("A", "B")


@pytest.mark.parametrize(("allowed", "passes"), [(19.9, False), (20.0, True), (20.1, True)])
def test_a_genre_may_lose_what_is_allowed_and_no_more(allowed, passes):
    verdict = judge(scores(20, 20, 4), WEAK, GateSettings(max_recall_drop=allowed))
    assert verdict.passed is passes
    told = "recall of rock drops by 20.0 points on 20 tracks (19.9 allowed)"
    assert (told in verdict.sentence("A", "B")) is not passes
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


def test_a_calibration_error_may_be_as_high_as_stated_and_no_higher():
    better = scores(14, 14, 14, sure=9.0)
    found = judge(better, WEAK, GateSettings())
    assert found.passed
    assert 0.2 < found.calibration < 1
    for allowed, passes in ((found.calibration, True), (found.calibration - 0.01, False)):
        verdict = judge(better, WEAK, GateSettings(max_calibration_error=allowed))
        assert verdict.passed is passes
        told = f"but its calibration error is {found.calibration:.3f} ({allowed:g} allowed)"
        assert (told in verdict.sentence("A", "B")) is not passes
    assert found.evidence()["calibration_error"] == f"{found.calibration:.3f}"
    assert found.evidence()["champion_calibration_error"] == f"{found.calibration_before:.3f}"


def test_all_reasons_of_a_refusal_stand_in_one_sentence():
    verdict = judge(scores(12, 8, 0), WEAK, GateSettings(max_calibration_error=0.0))
    sentence = verdict.sentence("A", "B")
    for part in ("interval must lie above 0, ", "and recall of rock", "and its calibration error"):
        assert part in sentence
    assert "\n" not in sentence


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


@pytest.mark.parametrize("name", ["min_gain", "max_recall_drop", "max_calibration_error"])
@pytest.mark.parametrize("value", [-0.1, 100.1, float("nan")])
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(SettingsError, match=f"{name} is {value}; allowed are 0 to"):
        GateSettings(**{name: value})
