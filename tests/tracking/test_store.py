"""Real stores: fresh ones, locked ones, slow ones, and what lies elsewhere or nowhere."""

import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from databases import database
from mlflow import MlflowClient
from processes import Command
from sqlalchemy import event
from sqlalchemy.engine import Engine
from support import EXPERIMENT, SMALL, Trained, small_options, store_in, tracking_server

from genre_mlflow.cli.base import speaking
from genre_mlflow.errors import DataError, ModelError
from genre_mlflow.jobs.evaluate import evaluate
from genre_mlflow.jobs.train import train
from genre_mlflow.tracking.classifiers import load
from genre_mlflow.tracking.servable import servable_folder
from genre_mlflow.tracking.store import REACH_S, open_store
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.observer import Observer

TINY = [
    f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items() if name != "widths"
] + ["--widths=4,8"]


def begin(folder: Path, words: list[str], **env: str) -> Command:
    """A command in a folder whose store is the default one, unless `env` names another."""
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    own = {"GENRE_HOME": str(folder / ".genre"), **env}
    log = folder.parent / f"{folder.name}.log"
    return Command("genre_mlflow", words, log, folder, kept | own)


@pytest.mark.slow
def test_four_at_once_set_up_a_fresh_postgresql(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music")
    with database() as address:
        commands = []
        for number in range(4):
            (tmp_path / str(number)).mkdir()
            words = ["train", f"--data={data}", *TINY, "--epochs=1"]
            commands.append(begin(tmp_path / str(number), words, MLFLOW_TRACKING_URI=address))
        texts = [command.wait() for command in commands]
        versions = MlflowClient(address).search_model_versions("name = 'genre-classifier'")
        with psycopg.connect(address) as connection:
            (locks,) = connection.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            )
    assert sorted(int(version.version) for version in versions) == [1, 2, 3, 4]
    assert all("Traceback" not in text for text in texts)
    assert locks == (0,)


@pytest.mark.slow
def test_a_store_that_another_program_has_locked_is_waited_for(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    words = ["train", f"--data={make_corpus(tmp_path / 'music')}", *TINY]
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        command = begin(tmp_path, words)
        time.sleep(30)  # MLflow waits for 20
        other.execute("ROLLBACK")
    assert "Traceback" not in command.wait()


@pytest.mark.slow
def test_a_full_store_lets_a_training_go_on_and_has_all_of_it_once_there_is_room(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    told: list[str] = []

    def fill(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite takes the pages that are there

    options = small_options(make_corpus(tmp_path / "music"), epochs=16)
    event.listen(Engine, "connect", fill)
    try:
        with speaking(told.append):
            run_id = train(options, experiment=EXPERIMENT).run_id
    finally:
        event.remove(Engine, "connect", fill)
    assert any("(database or disk is full); training goes on, epochs wait in" in t for t in told)
    begin(tmp_path, ["sync", run_id]).wait()  # a process of its own, whose store has room
    assert store.get_run(run_id).info.status == "FINISHED"
    steps = [metric.step for metric in store.get_metric_history(run_id, "val_loss")]
    assert steps == list(range(1, 17))


@contextmanager
def slow_server(seconds: float) -> Iterator[str]:
    """A server that takes its time for the first answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(seconds)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
def test_a_server_that_starts_cold_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with slow_server(REACH_S + 2) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        with pytest.raises(
            ModelError, match="failed with error code 501"
        ):  # it has answered, but is none
            open_store()


def test_a_server_that_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:p4ss@127.0.0.1:9")
    with pytest.raises(ModelError, match=r"http://me:\*\*\*@127\.0\.0\.1:9 cannot be reached"):
        open_store()


def test_artifacts_that_need_a_package_are_told_before_a_run_is_opened(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    if find_spec("boto3"):
        pytest.skip("boto3 is installed here")
    experiment = store.create_experiment(EXPERIMENT, "s3://bucket/music")
    options = small_options(make_corpus(tmp_path / "music"), epochs=1)
    with pytest.raises(ModelError, match=r"s3://bucket/music need a package .*: boto3"):
        train(options, experiment=EXPERIMENT)
    assert store.search_runs([experiment]) == []


def test_a_deleted_experiment_is_named_with_the_way_back(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    experiment = store.create_experiment(EXPERIMENT)
    store.delete_experiment(experiment)
    options = small_options(make_corpus(tmp_path / "music"), epochs=1)
    words = rf"is deleted; .*mlflow experiments restore --experiment-id {experiment}"
    with pytest.raises(ModelError, match=words):
        train(options, experiment=EXPERIMENT)


def test_a_run_that_was_left_behind_in_the_environment_is_named(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "feedf00d")
    with pytest.raises(ModelError, match=r"MLFLOW_RUN_ID is 'feedf00d', .* none of that id; unset"):
        train(small_options(Path("unused")), experiment=EXPERIMENT)


def test_a_genre_that_is_too_long_for_a_metric_is_refused_before_training(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music", genres=("blues", "j" * 245))
    with pytest.raises(DataError, match=r"the genre 'jjj.*has 245 letters; .* hold 232: rename"):
        train(small_options(data), experiment=EXPERIMENT)
    assert store.get_experiment_by_name(EXPERIMENT) is None


class DeleteRun(Observer):
    """Deletes the run of a training when an epoch has ended, as somebody at the UI would."""

    def __init__(self, client: MlflowClient) -> None:
        self.client = client

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        if result.epoch == 2:
            experiment = self.client.get_experiment_by_name(EXPERIMENT).experiment_id
            self.client.delete_run(self.client.search_runs([experiment])[0].info.run_id)


@pytest.mark.slow
def test_a_run_deleted_during_training_can_be_restored_and_resumed(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    options = small_options(make_corpus(tmp_path / "music"))
    with pytest.raises(ModelError, match=r"run \w+ was deleted; restore it with: .*") as caught:
        train(options, experiment=EXPERIMENT, observer=DeleteRun(store))
    run_id = str(caught.value).split()[1]
    words = rf"run {run_id} is deleted; restore it with: .*mlflow runs restore --run-id {run_id}"
    with pytest.raises(ModelError, match=words):
        train(options, experiment=EXPERIMENT, resume=run_id)
    store.restore_run(run_id)
    train(options, experiment=EXPERIMENT, resume=run_id)
    assert store.get_run(run_id).info.status == "FINISHED"


def test_a_run_that_cannot_be_locked_does_not_stay_open(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    options = small_options(make_corpus(tmp_path / "music"))
    (tmp_path / ".genre").mkdir()
    (tmp_path / ".genre" / "checkpoints").touch()  # where the folder of the run is to be made
    with pytest.raises(OSError, match="checkpoints"):
        train(options, experiment=EXPERIMENT)
    experiment = store.get_experiment_by_name(EXPERIMENT).experiment_id
    assert [run.info.status for run in store.search_runs([experiment])] == ["FAILED"]


@pytest.mark.slow
def test_files_that_are_gone_are_named_with_their_place(trained: Trained, tmp_path: Path) -> None:
    with store_in(tmp_path, like=trained.folder) as client:
        outcome = train(trained.options, experiment="other")
        model = client.get_logged_model(outcome.model_id)
        folder = Path(model.artifact_location.removeprefix("file://"))
        next(folder.rglob("weights.safetensors")).unlink()
        with pytest.raises(ModelError, match=r"weights\.safetensors"):
            load(f"models:/{outcome.model_id}")
        (folder / "MLmodel").unlink()
        with pytest.raises(ModelError, match=f"it has no MLmodel in {folder}"):
            servable_folder(f"models:/{outcome.model_id}")
        shutil.rmtree(folder)
        gone = f"the files of .* are gone: they were in {folder}$"
        for reading in (
            lambda: load(f"models:/{outcome.model_id}"),
            lambda: servable_folder(f"models:/{outcome.model_id}"),
            lambda: evaluate(
                f"models:/{outcome.model_id}", trained.options, split="all", experiment="e"
            ),
        ):
            with pytest.raises(ModelError, match=gone):
                reading()


@pytest.mark.slow
def test_a_project_that_was_moved_says_so_and_writes_where_it_stands(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music")
    before, now = tmp_path / "before", tmp_path / "now"
    before.mkdir()
    words = ["train", f"--data={data}", *TINY, "--epochs=1"]
    run_id = begin(before, words).wait().partition("Run ")[2].split()[0]
    before.rename(now)
    hint = f"the project was moved to {now}: move it back, or say where it is now by ln -s"
    song = str(next(data.rglob("*.png")))
    for command in (["predict", song], ["promote", "--version=1"], ["train", "--resume", run_id]):
        if command[0] == "promote":
            assert "registered as genre-classifier version 2" in begin(now, words).wait()
            command = ["promote"]
        failed = begin(now, command)
        assert failed.join().code == 2
        assert f"they were in {before}/" in failed.said
        assert hint in failed.said
        assert failed.said.count("\n") == 1
    assert not before.exists()
    client = MlflowClient(f"sqlite:///{now}/mlflow.db")
    new = client.get_experiment_by_name("genre-mlflow")
    assert new.artifact_location.startswith(str(now))
    (old,) = client.search_experiments(filter_string="name LIKE 'genre-mlflow, once%'")
    assert old.artifact_location.startswith(str(before))


def test_an_experiment_whose_disk_is_not_here_is_named_and_keeps_its_name(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    place = tmp_path / "disk" / "project" / "mlruns" / "1"
    experiment = store.create_experiment(EXPERIMENT, place.as_uri())
    options = small_options(make_corpus(tmp_path / "music"), epochs=1)
    with pytest.raises(ModelError, match=f"the files of experiment 'test' are gone: .*{place}$"):
        train(options, experiment=EXPERIMENT)
    assert store.get_experiment(experiment).name == EXPERIMENT
    assert not (tmp_path / "disk").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["my music", "my%20music", "a#b", "what?", "Müsik"])
def test_all_files_are_inside_the_folder_whatever_its_name(
    tmp_path: Path, make_corpus: Callable[..., Path], name: str
) -> None:
    data = make_corpus(tmp_path / "music")
    projects = tmp_path / "projects"
    (projects / name).mkdir(parents=True)
    words = ["train", f"--data={data}", *TINY, "--epochs=1"]
    begin(projects / name, words).wait()
    found = begin(projects / name, ["predict", str(data / "rock")]).wait()
    assert "20 predicted" in found
    assert [path for path in projects.iterdir() if path.is_dir()] == [projects / name]
    assert {path.name for path in (projects / name).iterdir()} == {
        ".genre", "mlflow.db", "mlflow.db.champion.lock", "mlflow.db.lock", "mlruns"
    }  # fmt: skip


@pytest.mark.slow
def test_a_server_that_dies_does_not_keep_a_stopped_run_waiting(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    """MLflow itself would try for minutes."""
    data = make_corpus(tmp_path / "music")
    with tracking_server(tmp_path) as (url, process):
        project = tmp_path / "project"
        project.mkdir()
        words = ["train", f"--data={data}", *TINY, "--epochs=100000"]
        training = begin(project, words, MLFLOW_TRACKING_URI=url)
        training.until(lambda: " 2/100000" in training.said)
        os.killpg(process.pid, signal.SIGSTOP)  # it answers no more, which is worse than to be gone
        time.sleep(1)
        os.kill(training.pid, signal.SIGINT)
        code = training.join(60).code
        os.killpg(process.pid, signal.SIGCONT)
    assert code == 128 + signal.SIGINT
    assert "Stopped. Go on with: MLFLOW_TRACKING_URI=" in training.said
    assert "Traceback" not in training.said
