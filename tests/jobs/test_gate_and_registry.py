"""The gate and its registry, in a real store: what is decided, what is kept, what is taken back."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import gated
import pytest
from gated import NAME
from mlflow import MlflowClient
from support import store_in

from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.cost import Cost
from genre_mlflow.evaluation.gate_settings import GateSettings
from genre_mlflow.jobs import gate
from genre_mlflow.jobs.promote import demote, promote
from genre_mlflow.tracking.asking import NoAnswerError
from genre_mlflow.tracking.registry import RegisteredModel

Versions = Callable[..., str]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MlflowClient]:
    with store_in(tmp_path / "store") as found:
        yield found


@pytest.fixture
def register(client: MlflowClient) -> Versions:
    """Registers a version with these answers to the test set; the first is the champion."""
    return gated.register


@pytest.fixture(autouse=True)
def answering(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses of the versions that had to answer; none has a network here, nor does any need to.

    Real ones answer in test_gate_shown.py.
    """
    asked: list[str] = []
    monkeypatch.setattr(gate, "check_answers", lambda uri, *, fresh: asked.append(uri))
    return asked


def champion(client: MlflowClient) -> str:
    return gated.champion()


def tags(client: MlflowClient, version: str) -> dict[str, str]:
    return dict(client.get_model_version(NAME, version).tags)


def test_one_that_learnt_from_copies_of_test_tracks_is_refused(client, register):
    register(20, 20)
    register(36, 36, leaking_groups="2")
    result = promote(NAME)
    assert not result.promoted
    assert "a split with copies on two sides (2 groups, let by --allow-leak)" in result.reason
    assert champion(client) == "1"
    assert tags(client, "2")["gate"] == "refused"
    assert promote(NAME, force=True, why="the demo goes").promoted


def test_copies_in_the_champion_s_split_are_told(client, register):
    RegisteredModel(NAME).set_tag(
        client.get_model_version(NAME, register(36, 36)), "leaking_groups", "2"
    )
    register(32, 30, groups_in_two_splits="3")
    result = promote(NAME)
    assert not result.promoted
    assert "split of the champion, version 1, had copies on two sides" in result.message()
    assert "version 2 has 3 groups of its table on two sides" in result.message()


def test_a_clearly_better_challenger_is_promoted_with_its_evidence_as_tags(client, register):
    register(20, 20)
    register(32, 30)
    result = promote(NAME)
    assert result.promoted
    assert result.message().startswith(
        "Promoted: version 2 is better than the champion, version 1: 77.5% against 50.0% of the "
        "test set, +27.5 points (95 % interval "
    )
    assert champion(client) == "2"
    kept = tags(client, "2")
    assert (kept["gate"], kept["gate_against"], kept["replaced"]) == ("promoted", "1", "1")
    assert (kept["gate_gain"], kept["gate_tracks"], kept["gate_digest"]) == ("+27.50", "80", "same")
    assert 0 < float(kept["gate_low"]) < 27.5 < float(kept["gate_high"])
    assert kept["gate_recall_drops"] == "none"
    assert kept["gate_date"].endswith("+00:00")
    assert kept["gate_reason"] == result.reason
    assert {"gate_calibration_error", "gate_champion_calibration_error"} <= kept.keys()


@pytest.mark.parametrize(("right", "rule", "reason"), [
    ((10, 10), {}, r"is worse than the champion"),
    ((20, 20), {}, r"is not shown to be better .*\(95 % interval \+0\.0 to \+0\.0, over 80 tracks"),
    ((21, 20), {}, r"is not shown to be better .*more test tracks .* or use --force --why TEXT"),
    ((32, 30), {"min_gain": 25}, r"is not shown to be better by 25 points"),
    ((40, 15), {"max_recall_drop": 10}, r"but recall of rock drops by 12\.5 points .* \(10 all"),
    ((32, 30), {"max_calibration_error": 0.01}, r"but its calibration error is 0\.\d+ \(0\.01 all"),
])  # fmt: skip
def test_others_are_refused_and_keep_the_evidence(client, register, right, rule, reason):
    register(20, 20)
    register(*right)
    result = promote(NAME, gate=GateSettings(**rule))
    assert not result.promoted
    assert re.search(reason, result.message()), result.message()
    assert champion(client) == "1"
    kept = tags(client, "2")
    assert kept["gate"] == "refused"
    assert kept["gate_reason"] == result.reason
    assert "replaced" not in kept


def test_one_that_was_tested_on_other_tracks_is_refused_and_nothing_is_kept(client, register):
    register(20, 20)
    register(40, 40, digest="other")
    with pytest.raises(ModelError, match="were tested on different tracks"):
        promote(NAME)
    assert champion(client) == "1"
    assert tags(client, "2") == {"test_digest": "other"}


def test_the_decision_is_the_last_line_of_the_description(client, register, answering):
    register(20, 20)
    register(20, 20)
    promote(NAME)
    model = RegisteredModel(NAME)
    first = model.description(model.get("2"))
    assert first.startswith("What it is.\n\nAnd what not.\n\n**Gate**: refused, 20")
    assert first.endswith(tags(client, "2")["gate_reason"])
    assert answering == []  # what is refused is not asked
    promote(NAME, force=True, why="the\ndemo")
    second = model.description(model.get("2"))
    assert second.startswith("What it is.\n\nAnd what not.\n\n**Gate**: forced, 20")
    assert second.endswith("the champion now, because the demo")
    demote(NAME)
    third = model.description(model.get("2"))
    assert third.endswith("version 1 is the champion again, version 2 is not")
    assert third.count("**Gate**") == 1


def test_a_better_one_that_does_not_answer_is_refused(client, register, monkeypatch):
    def silent(uri: str, *, fresh: bool) -> None:
        assert (uri, fresh) == ("models:/gated/2", True)
        raise NoAnswerError("ModuleNotFoundError: No module named 'soxr'")

    monkeypatch.setattr(gate, "check_answers", silent)
    register(20, 20)
    register(32, 30)
    result = promote(NAME)
    assert not result.promoted
    assert result.reason == (
        "version 2 does not answer in a fresh environment of its own requirements: "
        "ModuleNotFoundError: No module named 'soxr'; --smoke here asks it in this one, and needs "
        "no network"
    )
    assert champion(client) == "1"
    kept = tags(client, "2")
    assert (kept["gate"], kept["gate_smoke"], kept["gate_gain"]) == ("refused", "fresh", "+27.50")


@pytest.mark.parametrize(("number", "told"), [
    ("2", r"but it does not answer: no soxr; use --force"),
    ("1", r"^version 1 \(champion\) of 'gated' does not answer, so .* compared with: no soxr; use"),
])  # fmt: skip
def test_who_does_not_answer_when_both_are_measured_is_told(
    client, register, monkeypatch, number, told
):
    def measure(uris: list[str]) -> list[Cost]:
        raise NoAnswerError("no soxr", f"models:/gated/{number}")

    monkeypatch.setattr(gate, "measure", measure)
    register(20, 20)
    register(32, 30)
    rule = GateSettings(max_latency_ms=20)
    if number == "1":  # which says nothing against version 2
        with pytest.raises(ModelError, match=told):
            promote(NAME, gate=rule)
        assert "gate" not in tags(client, "2")
    else:
        assert re.search(told, promote(NAME, gate=rule).reason)


def test_a_challenger_that_another_promotes_meanwhile_keeps_that_evidence(
    client, register, monkeypatch
):
    register(20, 20)
    register(32, 30)

    def meanwhile(uri: str, *, fresh: bool) -> None:
        promote(NAME, force=True, why="the demo goes")

    monkeypatch.setattr(gate, "check_answers", meanwhile)
    assert promote(NAME).reason == "version 2 is the champion already"
    kept = tags(client, "2")
    assert (kept["gate"], kept["gate_forced_because"]) == ("forced", "the demo goes")
    assert "gate_gain" not in kept


def test_the_reason_of_a_forced_promotion_goes_with_it(client, register):
    register(20, 20)
    register(20, 20)
    promote(NAME, force=True, why="the demo goes")
    demote(NAME)
    promote(NAME)
    assert "gate_forced_because" not in tags(client, "2")


@pytest.mark.parametrize(("rule", "reason"), [
    ({"max_latency_ms": 20}, r"points \(.*\), but its p95 latency is 30\.0 ms \(20 allowed\); use"),
    ({"max_memory_mb": 500}, r"but its memory is 600 MB \(500 allowed\)"),
    ({"max_latency_ms": 30, "max_memory_mb": 600}, ""),
])  # fmt: skip
def test_a_better_one_must_keep_within_its_limits(client, register, monkeypatch, rule, reason):
    costs = [Cost(0, (30.0,) * 60, 600.0), Cost(0, (10.0,) * 60, 300.0)]
    monkeypatch.setattr(gate, "measure", lambda uris: costs[: len(uris)])
    register(20, 20)
    register(32, 30)
    result = promote(NAME, gate=GateSettings(**rule))
    assert result.promoted is not bool(reason)
    assert re.search(reason, result.reason)
    kept = tags(client, "2")
    assert (kept["gate_p95_latency_ms"], kept["gate_champion_memory_mb"]) == ("30.0", "300")


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "took_ms", "passes", "measured"), [
    ({"2": 50, "1": 100}, (30, 30), True, False),
    ({"2": 100, "1": 100}, (20, 30), True, True),
    ({"2": 100, "1": 100}, (30, 30), False, True),
])  # fmt: skip
def test_an_equal_one_passes_by_choice_if_it_is_smaller_or_faster(
    client, register, monkeypatch, sizes, took_ms, passes, measured
):
    calls = []

    def measure(uris: list[str]) -> list[Cost]:
        calls.append(uris)
        return [Cost(0, (ms,) * 60, 300.0) for ms in took_ms]

    monkeypatch.setattr(gate, "measure", measure)
    monkeypatch.setattr(RegisteredModel, "weights_bytes", lambda self, v: sizes[str(v.version)])
    register(20, 20)
    register(20, 20)
    assert not promote(NAME).promoted
    assert calls == []  # no time is spent where nobody has asked for it
    result = promote(NAME, gate=GateSettings(accept="lighter", margin=6))
    assert result.promoted is passes, result.reason
    assert calls == ([["models:/gated/2", "models:/gated/1"]] if measured else [])


@pytest.mark.parametrize(("rule", "reason"), [
    ({}, ""),
    ({"max_calibration_error": 0.01}, r"version 1 is refused: its calibration error is 0\.\d+ "),
    ({"max_latency_ms": 20}, r"version 1 is refused: its p95 latency is 30.0 ms \(20 allowed\)"),
])  # fmt: skip
def test_without_a_champion_the_limits_and_the_answer_count(
    client, register, monkeypatch, answering, rule, reason
):
    monkeypatch.setattr(gate, "measure", lambda uris: [Cost(0, (30.0,) * 60, 300.0)])
    register(32, 30)
    client.delete_registered_model_alias(NAME, "champion")
    result = promote(NAME, gate=GateSettings(**rule))
    assert result.promoted is not bool(reason)
    assert re.search(reason, result.reason)
    assert answering == ([] if reason else ["models:/gated/1"])


def test_a_champion_that_changed_while_it_was_judged_keeps_the_alias(client, register, monkeypatch):
    for right in ((10, 10), (30, 30), (32, 32)):
        register(*right)

    def meanwhile(uri: str, *, fresh: bool) -> None:
        client.set_registered_model_alias(NAME, "champion", "2")

    monkeypatch.setattr(gate, "check_answers", meanwhile)
    result = promote(NAME)
    assert not result.promoted
    assert result.reason == (
        "the champion changed while version 3 was judged, from version 1 to version 2; promote it "
        "again to have it judged against that"
    )
    assert champion(client) == "2"
    kept = tags(client, "3")
    assert (kept["gate"], kept["gate_reason"]) == ("refused", result.reason)
    assert "replaced" not in kept


@pytest.mark.slow
def test_who_is_overtaken_where_no_lock_is_learns_it_by_reading_back(client, register, monkeypatch):
    for right in ((10, 10), (30, 30), (32, 32)):
        register(*right)
    point = RegisteredModel.set_alias

    def overtaken(self: RegisteredModel, alias: str, version: object) -> None:
        point(self, alias, version)
        client.set_registered_model_alias(NAME, "champion", "2")  # another's, a moment later

    monkeypatch.setattr(RegisteredModel, "set_alias", overtaken)
    result = promote(NAME)
    assert not result.promoted
    assert "the champion changed while version 3 was judged" in result.reason
    assert champion(client) == "2"
    kept = tags(client, "3")
    assert (kept["gate"], "replaced" in kept) == ("refused", False)


def test_a_forced_promotion_keeps_no_figures_of_an_earlier_decision(client, register):
    register(20, 20)
    register(20, 20)
    promote(NAME)
    assert "gate_low" in tags(client, "2")
    assert promote(NAME, force=True, why="the demo goes").promoted
    kept = tags(client, "2")
    assert (kept["gate"], kept["gate_forced_because"]) == ("forced", "the demo goes")
    assert "gate_low" not in kept
    assert (kept["gate_against"], kept["replaced"]) == ("1", "1")


@pytest.mark.slow
def test_demote_goes_back_step_by_step_and_then_stays(client, register):
    register(10, 10)
    for right in (20, 30):
        register(right, right)
        assert promote(NAME).promoted
    assert demote(NAME).reason == "version 2 is the champion again, version 3 is not"
    assert champion(client) == "2"
    assert demote(NAME).demoted
    last = demote(NAME)
    assert not last.demoted
    assert last.reason == "version 1 stays the champion, there was none before it"
    assert champion(client) == "1"
    assert promote(NAME, version="3").promoted
    assert demote(NAME).demoted
    assert champion(client) == "1"


@pytest.mark.slow
def test_two_that_replaced_each_other_do_not_go_round(client, register):
    register(10, 10)
    register(30, 30)
    promote(NAME)
    promote(NAME, version="1", force=True, why="it broke")
    steps = [demote(NAME).demoted for _ in range(3)]
    assert steps == [True, True, False]
    assert champion(client) == "1"


def test_demoting_to_a_deleted_version_moves_nothing(client, register):
    register(10, 10)
    register(30, 30)
    promote(NAME)
    client.delete_model_version(NAME, "1")
    with pytest.raises(ModelError, match="model 'gated' has no version '1'"):
        demote(NAME)
    assert champion(client) == "2"


def test_demoting_an_unknown_model_names_it(client):
    with pytest.raises(ModelError, match="model 'nobody' has no version with the alias champion"):
        demote("nobody")
