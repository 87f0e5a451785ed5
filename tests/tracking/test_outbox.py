"""Epochs wait on disk, whole and in order."""

import json
from pathlib import Path

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from genre_mlflow.errors import ModelError
from genre_mlflow.tracking.outages import is_passing
from genre_mlflow.tracking.outbox import Head, Outbox
from genre_mlflow.training.history import EpochResult, PassResult

HEAD = Head("run", "sqlite:///mlflow.db", {"genres": ["jazz", "rock"]}, "all", ["corpus", "12"])


def epoch(number: int) -> EpochResult:
    result = PassResult(1.0 / number, [[3, 1], [0, 4]])
    return EpochResult(number, result, result, 0.01, 1.0, 1.0, finished_ms=1_000 * number)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "waiting")


def test_epochs_wait_in_order_with_weights_that_outlive_their_checkpoint(
    outbox: Outbox, weights: Path
) -> None:
    for number in (10_000, 2, 1):
        assert outbox.put(epoch(number), weights)
    weights.unlink()
    assert outbox.epochs() == [1, 2, 10_000]
    assert outbox.read(2) == epoch(2)
    assert outbox.weights(2).read_bytes() == b"weights"


def test_an_epoch_that_comes_again_waits_once(outbox: Outbox, weights: Path) -> None:
    outbox.put(epoch(1), weights)
    outbox.put(epoch(1), weights)
    assert outbox.epochs() == [1]


def test_what_has_arrived_is_gone(outbox: Outbox, weights: Path) -> None:
    outbox.put(epoch(1), weights)
    outbox.remove(1)
    assert not outbox.is_needed
    assert list(outbox.folder.iterdir()) == []


def test_on_a_full_disk_the_figures_wait_without_weights(tmp_path: Path, weights: Path) -> None:
    outbox = Outbox(tmp_path / "waiting", room=1 << 60)  # more than any disk has free
    assert not outbox.put(epoch(1), weights)
    assert outbox.epochs() == [1]
    assert not outbox.weights(1).exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", json.dumps({**epoch(1).to_dict(), "val": {"loss": 1}})]
)
def test_a_damaged_record_is_named(outbox: Outbox, weights: Path, text: str) -> None:
    outbox.put(epoch(1), weights)
    outbox.record(1).write_text(text)
    with pytest.raises(ModelError, match=r"epoch-0001\.json cannot be read \(.+\); the run can be"):
        outbox.read(1)


def test_a_strange_name_is_told(outbox: Outbox, weights: Path) -> None:
    outbox.put(epoch(1), weights)
    outbox.record(1).rename(outbox.folder / "epoch-one.json")
    with pytest.raises(ModelError, match="a name that is no epoch's"):
        outbox.epochs()


def test_a_missing_head_is_told(outbox: Outbox) -> None:
    with pytest.raises(ModelError, match=r"head\.json cannot be read"):
        Head.read(outbox.folder)
    outbox.open(HEAD)
    assert Head.read(outbox.folder) == HEAD


def http_error(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("no", response=response)


def told_in_our_words(cause: Exception) -> ModelError:
    error = ModelError("MLflow: it cannot be done")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (requests.ConnectionError("gone"), True),
        (http_error(503), True),
        (http_error(429), True),
        (http_error(403), False),
        (MlflowException("slow"), True),
        (MlflowException("no run", RESOURCE_DOES_NOT_EXIST), False),
        (ModelError("of ours alone"), False),
        (told_in_our_words(MlflowException("gone")), True),  # as deleting files tells it
        (told_in_our_words(MlflowException("no run", RESOURCE_DOES_NOT_EXIST)), False),
        (type("ClientError", (Exception,), {"__module__": "botocore.exceptions"})(), True),
        (ZeroDivisionError(), False),
    ],
)
def test_what_may_pass_is_told_from_what_stays(error: Exception, passes: bool) -> None:
    assert is_passing(error) is passes


def test_an_epoch_that_is_kept_again_leaves_nothing_behind(tmp_path: Path, weights: Path) -> None:
    outbox = Outbox(tmp_path / "waiting", room=0)
    outbox.open(HEAD)
    for _ in range(2):  # as when a run is resumed
        assert outbox.put(epoch(3), weights)
    assert outbox.weights(3).read_bytes() == b"weights"
    outbox.remove(3)
    assert [path.name for path in outbox.folder.iterdir()] == ["head.json"]
