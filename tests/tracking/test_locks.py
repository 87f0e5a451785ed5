"""Locks on a store: who holds one, what others do, and where there is none."""

from threading import Event, Thread

import pytest
from mlflow import MlflowClient

from genre_mlflow.errors import ModelError
from genre_mlflow.tracking.locks import CHAMPION, OPENING, champion_lock, store_lock
from genre_mlflow.tracking.store import open_store


def test_a_champion_is_changed_by_one_at_a_time(store: MlflowClient) -> None:
    inside, other = Event(), Event()

    def come() -> None:
        other.set()
        with champion_lock():
            inside.set()

    with champion_lock():
        thread = Thread(target=come)
        thread.start()
        assert other.wait(30)
        assert not inside.wait(0.3)
    assert inside.wait(30)
    thread.join(30)


def test_a_store_can_be_opened_while_its_champion_changes(store: MlflowClient) -> None:
    with champion_lock():
        open_store()


def test_the_lock_of_a_store_in_no_folder_says_so(tmp_path, monkeypatch):
    address = f"sqlite:///{tmp_path}/no/mlflow.db"
    with (
        pytest.raises(ModelError, match=r"lies in .*/no, which does not exist"),
        store_lock(address),
    ):
        pass


def test_a_database_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "postgresql://me:secret@127.0.0.1:9/none")
    with (
        pytest.raises(ModelError, match=r"postgresql://me:\*\*\*@127.* cannot be locked") as error,
        champion_lock(),
    ):
        pass
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("what", [OPENING, CHAMPION])
def test_where_there_is_no_lock_the_block_runs(what):
    with store_lock("http://127.0.0.1:9", what):
        pass
