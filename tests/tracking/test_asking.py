"""Models asked in processes of their own: what they say, what they cost, and why they do not."""

import io
import json
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from support import Trained

from genre_mlflow.tracking import asking
from genre_mlflow.tracking.artifacts import local_path
from genre_mlflow.tracking.asking import (
    ASKED,
    NoAnswerError,
    answer,
    check_answers,
    check_genre,
    measure,
    reason_in,
    recording,
    started,
)

CHAMPION = "models:/genre-classifier@champion"
TRACEBACK = """2026/11/27 07:48:20 INFO mlflow.utils.environment: === Running command 'python'
Traceback (most recent call last):
  File "served_model.py", line 8, in <module>
    import soxr
ModuleNotFoundError: No module named 'soxr'
2026/11/27 07:48:20 WARNING mlflow.pyfunc: and more
"""
CHAINED = """Traceback (most recent call last):
  File "a.py", line 1, in f
ValueError: first
The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "a.py", line 2, in <module>
    ^^^^^^^^^^^
RuntimeError: it is
broken
"""
OF_UV = """Using CPython 3.11.7
\x1b[31merror\x1b[0m: No solution found when resolving dependencies
  cause: Because there is no version of soxr==99.0 and you require soxr==99.0, we
         can conclude that your requirements are unsatisfiable.
"""
OF_UV_BEFORE = """  \u00d7 No solution found when resolving dependencies:
  ╰─▶ Because soxr was not found in the cache, your requirements are
      unsatisfiable.
"""


def test_the_recording_is_30_s_of_sound_and_the_same_each_time():
    with wave.open(io.BytesIO(recording())) as file:
        assert file.getnframes() / file.getframerate() == 30
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert 1_000 < samples.std() < 20_000
    assert recording() == recording()


@pytest.mark.parametrize(("said", "reason"), [
    (TRACEBACK, "ModuleNotFoundError: No module named 'soxr'"),
    (CHAINED, "RuntimeError: it is broken"),
    (OF_UV, "error: No solution found when resolving dependencies cause: Because there is no "
            "version of soxr==99.0 and you require soxr==99.0, we can conclude that your "
            "requirements are unsatisfiable."),
    (OF_UV_BEFORE, "No solution found when resolving dependencies: Because soxr was not found in "
                   "the cache, your requirements are unsatisfiable."),
    ("one\ntwo\n\n", "two"),
    ("", "it ended without a word"),
])  # fmt: skip
def test_the_reason_is_what_was_said_last_in_one_line(said, reason):
    assert reason_in(said) == reason


def test_a_long_reason_is_cut():
    assert reason_in("x" * 900) == "x" * 400 + " ..."


@pytest.mark.parametrize("answer", [
    "", "no JSON", "[]", "{}", '{"predictions": []}', '{"predictions": [3]}',
    '{"predictions": [{"genre": ""}]}', '{"predictions": [{"genre": null}]}',
    '{"predictions": [{"genre": "a"}, {"genre": "b"}]}',
])  # fmt: skip
def test_what_is_no_genre_is_no_answer(answer):
    with pytest.raises(NoAnswerError, match="its answer has no genre"):
        check_genre(answer)


def test_a_genre_is_one():
    check_genre(json.dumps({"predictions": [{"genre": "jazz", "confidence": 0.4}]}))


def test_a_model_that_answers_never_is_waited_for_so_long(tmp_path, monkeypatch):
    monkeypatch.setattr(asking, "LONGEST_S", 0)
    with (
        started(["often", "models:/a/1", "none"], tmp_path) as process,
        pytest.raises(NoAnswerError, match=r"^no answer has come within 600 s$") as error,
    ):
        answer(process, tmp_path, "models:/a/1")
    assert error.value.uri == "models:/a/1"


@pytest.fixture
def broken(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the champion's files, which a test breaks."""
    version = trained.client.get_model_version_by_alias("genre-classifier", "champion")
    model = trained.client.get_logged_model(version.source.rpartition("/")[2])
    place = local_path(model.artifact_location)
    assert place
    return Path(shutil.copytree(place, tmp_path / "broken"))


@pytest.mark.slow  # a process imports MLflow and torch anew
def test_a_model_answers_here(trained: Trained) -> None:
    check_answers(CHAMPION, fresh=False)


@pytest.mark.slow
def test_a_model_that_does_not_load_says_why(broken: Path) -> None:
    code = broken / "served_model.py"
    code.write_text(code.read_text().replace("import base64", "import base64\nimport nowhere", 1))
    with pytest.raises(NoAnswerError, match=r"No module named 'nowhere'$"):
        check_answers(str(broken), fresh=False)
    with pytest.raises(NoAnswerError, match=r"No module named 'nowhere'$"):
        measure([CHAMPION, str(broken)])


@pytest.mark.slow
def test_a_model_answers_in_a_fresh_environment_of_its_own_requirements(trained: Trained) -> None:
    check_answers(CHAMPION, fresh=True)


@pytest.mark.slow
def test_requirements_that_cannot_be_met_are_told_in_one_line(broken: Path) -> None:
    file = broken / "requirements.txt"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("soxr")]
    file.write_text("\n".join([*lines, "soxr==99.0"]))
    with pytest.raises(NoAnswerError, match=r"there is no version of soxr==99\.0") as error:
        check_answers(str(broken), fresh=True)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_latency_and_memory_are_those_of_the_models_own_processes(trained: Trained) -> None:
    ballast = np.ones(300_000_000, np.int8)  # of this process, which does not count
    one, other = measure([CHAMPION, CHAMPION])
    for cost in (one, other):
        assert len(cost.latencies_ms) == ASKED
        assert 0 < min(cost.latencies_ms) <= cost.p95_ms
        assert 200 < cost.memory_mb < 3000
    assert abs(one.memory_mb - other.memory_mb) < 0.1 * other.memory_mb
    assert ballast[0]
