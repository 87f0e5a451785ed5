"""Locks between processes and trials whose workers are dead, on SQLite and on PostgreSQL."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path

import optuna
import pytest
from databases import database
from mlflow import MlflowClient
from optuna.trial import Trial, TrialState

from genre_mlflow.errors import StudyError
from search.objective import begin_run
from search.request import Request
from search.storage import MAX_RETRIES, Storage, quiet, retry
from search.study import Search, open_search
from search.worker import Worker

GRACE_S = 2
HOLD = """
import sys, time
from search.storage import Storage
with Storage(sys.argv[1], 2).lock("mine"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/studies.db"
        return
    with database() as found:
        yield found


@pytest.fixture
def make_storage(address: str) -> Iterator[Callable[[], Storage]]:
    """Storages at one address, closed at the end."""
    made: list[Storage] = []

    def make() -> Storage:
        made.append(Storage(address, GRACE_S))
        return made[-1]

    yield make
    for storage in made:
        storage.close()


def test_lock_keeps_the_others_out(make_storage: Callable[[], Storage]) -> None:
    storage, other = make_storage(), make_storage()
    order: list[str] = []

    def second() -> None:
        with other.lock("mine"):
            order.append("second")

    thread = threading.Thread(target=second)
    with storage.lock("mine"):
        thread.start()
        with other.lock("another"):  # a name is a lock of its own
            order.append("first")
        time.sleep(0.3)
        order.append("still first")
    thread.join(timeout=30)
    assert order == ["first", "still first", "second"]


@pytest.mark.slow
def test_lock_of_a_killed_process_is_free(
    address: str, make_storage: Callable[[], Storage]
) -> None:
    storage = make_storage()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, address], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    try:
        assert holder.stdout.readline() == "held\n"
        with storage.lock_if_free("mine") as ours:
            assert not ours
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    with storage.lock("mine"):
        pass
    with storage.lock_if_free("mine") as ours:
        assert ours


def test_error_in_a_lock_that_was_free_is_no_other_holder(
    make_storage: Callable[[], Storage],
) -> None:
    storage = make_storage()
    with pytest.raises(KeyError), storage.lock_if_free("mine") as ours:
        assert ours
        raise KeyError
    with storage.lock_if_free("mine") as ours:
        assert ours


def instant(search: Search, trial: Trial, observers: object) -> float:
    search.space.suggest(trial, search.options)
    begin_run(search, trial)
    return 0.5


def die(search: Search) -> Trial:
    """Begin a trial as a worker does, and leave it without a sign of life from then on."""
    trial = Worker(search, inf).next_trial()
    assert trial is not None
    search.space.suggest(trial, search.options)
    begin_run(search, trial)
    trial.report(0.25, 1)
    return trial


@pytest.mark.slow
def test_trial_of_a_dead_worker_is_repeated_with_what_it_had(
    address: str, store: MlflowClient, make_request: Callable[..., Request]
) -> None:
    search = open_search(make_request(trials=1, storage=address, grace_s=GRACE_S))
    dead = die(search)
    Worker(search, inf, objective=instant).work()  # waits for the grace period
    first, again = search.trials()
    assert (first.state, again.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert again.params == dead.params
    assert again.intermediate_values == {1: 0.25}
    runs = {trial.number: store.get_run(trial.user_attrs["run_id"]) for trial in (first, again)}
    assert runs[0].info.status == "FAILED"  # it had no checkpoint to go on from
    assert runs[0].data.tags["error"] == "its worker died"
    assert runs[1].info.status == "FINISHED"
    search.storage.close()


def test_trial_cut_off_before_its_first_sign_of_life_is_repeated(
    store: MlflowClient, make_request: Callable[..., Request]
) -> None:
    search = open_search(make_request(trials=1))
    with quiet():
        search.study.ask()
    Worker(search, inf, objective=instant).work()
    assert [t.state.name for t in search.trials()] == ["FAIL", "COMPLETE"]


def test_a_trial_that_is_queued_again_just_now_is_waited_for(
    store: MlflowClient, make_request: Callable[..., Request]
) -> None:
    search = open_search(make_request(trials=1))
    other = die(search)
    worker = Worker(search, inf)
    assert worker.next_trial() is None  # one is enough, and it runs elsewhere
    search.storage.optuna.set_trial_state_values(other._trial_id, TrialState.FAIL)
    assert worker.may_be_needed()
    retry(search.study, search.trials()[0])
    assert worker.next_trial() is not None


def test_trial_that_kills_its_workers_is_given_up(
    store: MlflowClient, make_request: Callable[..., Request]
) -> None:
    search = open_search(make_request(trials=1, space="small"))
    for _ in range(MAX_RETRIES + 1):
        with quiet():
            trial = search.study.ask()
        assert trial.suggest_float("lr", 1e-4, 1e-2, log=True) == 0.01  # the first trial's
        worker = Worker(search, inf)
        with search.storage.lock("test"), quiet():
            worker.look_again()
    assert search.trials(TrialState.WAITING) == []
    assert len(search.trials(TrialState.FAIL)) == MAX_RETRIES + 1


@pytest.mark.slow
def test_signs_of_life_keep_a_trial(
    store: MlflowClient, make_request: Callable[..., Request]
) -> None:
    search = open_search(make_request(trials=1, grace_s=GRACE_S))
    trial = die(search)
    with search.storage.alive(trial._trial_id), quiet():
        time.sleep(GRACE_S * 2)
        optuna.storages.fail_stale_trials(search.study)
    assert [t.state.name for t in search.trials()] == ["RUNNING"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("nonsense", r"--storage is 'nonsense'; allowed are addresses such as sqlite:///search"),
        ("sqlite://", r"a study in memory is lost: name a file"),
        ("sqlite:///:memory:", r"a study in memory is lost"),
        ("sqlite:////no/such/folder/x.db", r"but /no/such/folder is no folder"),
        ("postgresql://me:secret@127.0.0.1:1/x", r"me:\*\*\*@127.* cannot be opened: connection"),
        ("oraclesql://me:secret@host/x", r"cannot be opened: .*oraclesql"),
        ("postgresql://me:secret@host:port/x", r"--storage is '\.\.\.@host:port/x'; allowed are"),
        ("postgresql://127.0.0.1:1/x?user=me&password=secret", r"127.0.0.1:1/x cannot be opened"),
        ("me:secret@host", r"--storage is '.*@host'; allowed are"),
    ],
)
def test_storage_that_cannot_be_is_one_line(where: str, message: str) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        Storage(where, GRACE_S)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_database_of_mlflow_is_left_alone(store: MlflowClient) -> None:
    file = Path.cwd() / "mlflow.db"
    before = file.read_bytes()
    with pytest.raises(StudyError, match="is the database of another program, such as MLflow"):
        Storage(f"sqlite:///{file}", GRACE_S)
    assert file.read_bytes() == before


def test_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database " * 100)
    with pytest.raises(StudyError, match=r"notes\.txt cannot be opened: .*not a database"):
        Storage(f"sqlite:///{tmp_path}/notes.txt", GRACE_S)
