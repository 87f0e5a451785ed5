"""One process trains a run, and the one that outlives it ends it."""

import pytest
from mlflow import MlflowClient

from genre_mlflow.errors import ModelError
from genre_mlflow.tracking.abandoned import end_abandoned
from genre_mlflow.tracking.sessions import hold


def test_a_run_that_is_being_trained_is_refused_until_that_has_ended() -> None:
    message = "^run r is being trained by another process$"
    with hold("r"), pytest.raises(ModelError, match=message), hold("r"):
        pass
    with hold("r"), hold("another"):
        pass


@pytest.fixture
def run_id(store: MlflowClient) -> str:
    return str(store.create_run("0").info.run_id)  # which is RUNNING


def test_a_run_that_nobody_holds_is_ended(store: MlflowClient, run_id: str) -> None:
    assert end_abandoned(run_id, 5.0)
    assert store.get_run(run_id).info.status == "FAILED"
    store.set_terminated(run_id, "KILLED")
    assert not end_abandoned(run_id, 5.0)
    assert store.get_run(run_id).info.status == "KILLED"


def test_a_run_that_another_process_holds_is_left_alone(store: MlflowClient, run_id: str) -> None:
    with hold(run_id):
        assert not end_abandoned(run_id, 0.3)
    assert store.get_run(run_id).info.status == "RUNNING"
