"""The gate before real models of one store: whom it refuses and whom it takes, and why."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfile

import pytest
from support import store_in, train_small

from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.gate_settings import GateSettings
from genre_mlflow.jobs.promote import promote
from genre_mlflow.tracking.registry import RegisteredModel

pytestmark = pytest.mark.slow  # trains five models and asks them in processes of their own

NAME, GENRES = "genre-classifier", ("blues", "jazz", "rock")
SAME = {"train": range(1, 12), "val": range(12, 16), "test": range(16, 24)}
WITH_A_COPY = {**SAME, "train": range(12)}
OTHERS = {**SAME, "val": range(20, 24), "test": range(12, 20)}
WEAK, LEARNT = {"epochs": 1, "lr": 1e-7}, {"epochs": 30}
BEGINNER, BETTER, LEAKING, ELSEWHERE, WIDE = (str(n) for n in range(1, 6))


def lists(folder: Path, sides: dict[str, range]) -> str:
    """A folder with the tracks of each side."""
    folder.mkdir()
    for side, numbers in sides.items():
        ids = [f"{genre}.{i:05d}" for genre in GENRES for i in numbers]
        (folder / f"{side}.txt").write_text("\n".join(ids))
    return str(folder)


@pytest.fixture(scope="module")
def trained_five(
    tmp_path_factory: pytest.TempPathFactory, make_corpus: Callable[..., Path]
) -> Path:
    folder = tmp_path_factory.mktemp("five")
    data = make_corpus(folder / "music", genres=GENRES, tracks=24)
    copyfile(data / "rock" / "rock.00000.png", data / "rock" / "rock.00023.png")
    same = lists(folder / "same", SAME)
    with store_in(folder):
        train_small(data, split_dir=same, **WEAK)
        train_small(data, split_dir=same, **LEARNT)
        copies = lists(folder / "copy", WITH_A_COPY)
        train_small(data, split_dir=copies, allow_leak=True, **LEARNT)
        train_small(data, split_dir=lists(folder / "others", OTHERS), **WEAK)
        train_small(data, split_dir=same, widths=(8, 16), **LEARNT)
    return folder


@pytest.fixture
def gate(trained_five: Path, tmp_path: Path) -> Iterator[RegisteredModel]:
    """A store of the test's own with these versions, the first of them the champion."""
    with store_in(tmp_path / "own", like=trained_five):
        yield RegisteredModel(NAME)


def champion(model: RegisteredModel) -> str:
    found = model.find("champion")
    return str(found.version) if found else ""


HERE = {"smoke": "here"}
SLOW = {**HERE, "max_latency_ms": 1.0}
LIGHTER = {**HERE, "accept": "lighter", "margin": 25.0}


@pytest.mark.parametrize(("against", "version", "rule", "says"), [
    (BETTER, BEGINNER, HERE, r"^version 1 is worse than the champion, version 2: "),
    (BEGINNER, LEAKING, HERE, r"trained on a split with copies on two sides \(1 group, let by"),
    (BEGINNER, BETTER, SLOW, r"^version 2 is better .*, but its p95 latency is [\d.]+ ms \(1 a"),
    (BETTER, WIDE, HERE, r"^version 5 is not shown to be better than the champion, version 2: "),
    (BETTER, WIDE, LIGHTER, r"^version 5 is not worse by 25 points .* 10 % of weights or p95 "),
])  # fmt: skip
def test_worse_leaking_slow_equal_and_larger_ones_are_refused(gate, against, version, rule, says):
    gate.set_alias("champion", gate.get(against))
    result = promote(NAME, version=version, gate=GateSettings(**rule))
    print(result.message())
    assert not result.promoted
    assert re.search(says, result.reason), result.reason
    assert champion(gate) == against
    assert gate.tags(gate.get(version))["gate"] == "refused"


def test_one_that_was_tested_elsewhere_is_refused(gate):
    with pytest.raises(ModelError, match=r"1 \(champion\) and 4 .* tested on different tracks"):
        promote(NAME, version=ELSEWHERE, gate=GateSettings(**HERE))
    assert champion(gate) == BEGINNER


def test_a_better_one_is_taken_once_it_has_answered(gate):
    result = promote(NAME, version=BETTER, gate=GateSettings(**HERE))
    print(result.message())
    assert result.promoted, result.reason
    assert champion(gate) == BETTER
    assert gate.tags(gate.get(BETTER))["gate_smoke"] == "here"


def test_an_equal_one_is_taken_by_choice_if_it_is_smaller(gate):
    gate.set_alias("champion", gate.get(WIDE))
    result = promote(NAME, version=BETTER, gate=GateSettings(**LIGHTER))
    print(result.message())
    assert result.promoted, result.reason
    assert re.search(r"points than the champion, version 5, and smaller \(", result.reason)
    assert champion(gate) == BETTER
