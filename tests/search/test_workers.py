"""Several workers at once, killed ones among them: real processes, stores and servers."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from databases import database
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from processes import Command
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool
from support import tracking_server

from genre_mlflow.training.device import threads_of_worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STUDY = "spread"
TINY = [
    "--study", STUDY, "--image-size", "32", "--image-width", "32",
    "--widths", "4", "--head-width", "4", "--statistics-share", "0", "--grace", "8",
]  # fmt: skip


def begin(folder: Path, number: int, words: list[str], **env: str) -> Command:
    """A `python -m search`, as on a host of its own."""
    hidden = ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "GENRE_SEARCH_STORAGE")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    own = {"GENRE_HOME": str(folder / ".genre"), "OMP_NUM_THREADS": "1", **env}
    given = {name: value for name, value in {**kept, **own}.items() if value}
    return Command("search", words, folder / f"{number}.log", folder, given)


def runs_by_task(client: MlflowClient) -> dict[str, list[Run]]:
    experiment = client.get_experiment_by_name("genre-mlflow")
    found: dict[str, list[Run]] = {}
    for run in client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"]):
        found.setdefault(run.data.tags["task"], []).append(run)
    return found


def check_whole(client: MlflowClient, study: optuna.Study, trials: int) -> dict[str, list[Run]]:
    """What must hold of every study at its end, whatever has happened."""
    states = (TrialState.COMPLETE, TrialState.PRUNED)
    assert len(study.get_trials(states=states)) == trials
    assert study.get_trials(states=(TrialState.RUNNING, TrialState.WAITING)) == []
    runs = runs_by_task(client)
    assert len(runs["search"]) == 1
    assert len(runs["final"]) == 1
    numbers = [run.data.tags["trial"] for run in runs["tune"]]
    assert len(numbers) == len(set(numbers))
    everything = [run for group in runs.values() for run in group]
    assert [run.info.run_name for run in everything if run.info.status == "RUNNING"] == []
    assert runs["search"][0].info.status == "FINISHED"
    settings = {str(t.params) for t in study.get_trials(states=states)}
    assert len(settings) == trials  # none was run twice
    return runs


def test_eight_at_once_on_an_empty_folder(tmp_path: Path, music: Path) -> None:
    words = [*TINY, "--data", str(music), "--epochs", "1", "--trials", "8"]
    commands = [begin(tmp_path, number, words) for number in range(8)]
    texts = [command.wait() for command in commands]
    assert [text for text in texts if "Best of 8 trials" not in text] == []
    study = optuna.load_study(study_name=STUDY, storage=f"sqlite:///{tmp_path}/.genre/search.db")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    check_whole(client, study, 8)
    assert sum("Training the setting of trial" in text for text in texts) == 1


def test_workers_share_the_cores_of_one_machine(tmp_path: Path, music: Path) -> None:
    words = [*TINY, "--data", str(music), "--epochs", "40", "--trials", "4", "--workers", "2"]
    text = begin(tmp_path, 0, words, OMP_NUM_THREADS="").wait()
    share = f"at work on cpu ({threads_of_worker(2)} thread"
    assert {line[:3] for line in text.splitlines() if share in line} == {"[1]", "[2]"}
    # A trial of 40 epochs outlasts any difference between the starts of the two.
    assert {"[1] trial", "[2] trial"} <= {line[:9] for line in text.splitlines()}
    study = optuna.load_study(study_name=STUDY, storage=f"sqlite:///{tmp_path}/.genre/search.db")
    check_whole(MlflowClient(f"sqlite:///{tmp_path}/mlflow.db"), study, 4)


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[str]:
    """An MLflow server whose backend store is PostgreSQL."""
    with database() as address, tracking_server(tmp_path, address) as (url, _):
        yield url


def trial_under_way(study: optuna.Study, commands: list[Command]) -> tuple[Command, FrozenTrial]:
    """A trial that has reported an epoch and goes on, and the command that runs it."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            if 1 <= (trial.last_step or 0) < 20:
                pid = int(trial.user_attrs["worker"].rpartition(":")[2])
                return next(c for c in commands if c.pid == pid), trial
        time.sleep(0.05)
    pytest.fail("\n".join(command.log.read_text()[-1000:] for command in commands))


def test_three_hosts_on_postgresql_survive_the_death_of_one(
    tmp_path: Path, music: Path, tracker: str
) -> None:
    with database() as address:
        words = [*TINY, "--data", str(music), "--epochs", "40", "--trials", "5"]
        env = {"GENRE_SEARCH_STORAGE": address, "MLFLOW_TRACKING_URI": tracker}
        commands = [begin(tmp_path, number, words, **env) for number in range(3)]
        study = wait_for_study(address, commands)
        killed, trial = trial_under_way(study, commands)
        killed.kill()
        texts = [command.wait() for command in commands if command is not killed]
        client = MlflowClient(tracker)
        runs = check_whole(client, study, 5)
        dead, *_ = (t for t in study.get_trials() if t.number == trial.number)
        again = next(
            t for t in study.get_trials() if t.system_attrs.get("failed_trial") == dead.number
        )
        assert (dead.state, again.state) == (TrialState.FAIL, TrialState.COMPLETE)
        assert again.params == dead.params
        assert max(again.intermediate_values) == 40
        # It went on from its checkpoint in its own run, under the number of its repetition.
        assert again.user_attrs["run_id"] == dead.user_attrs["run_id"]
        reopened = client.get_run(again.user_attrs["run_id"])
        assert reopened.info.status == "FINISHED"
        assert reopened.data.tags["trial"] == str(again.number)
        assert len(runs["tune"]) == 5
        assert sum("Training the setting of trial" in text for text in texts) == 1


def wait_for_study(address: str, commands: list[Command]) -> optuna.Study:
    """Optuna's own storage makes tables where there are none, and would race with the hosts."""
    engine = sqlalchemy.create_engine(address, poolclass=NullPool)
    is_there = sqlalchemy.text("SELECT 1 FROM studies WHERE study_name = :name")
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            with engine.connect() as connection:
                found = connection.execute(is_there, {"name": STUDY}).first()
        except ProgrammingError:  # no tables yet
            found = None
        if found:
            storage = RDBStorage(address, engine_kwargs={"poolclass": NullPool})
            return optuna.load_study(study_name=STUDY, storage=storage)
        time.sleep(0.5)
    pytest.fail("\n".join(command.log.read_text()[-1000:] for command in commands))
