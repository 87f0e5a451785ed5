"""`mlflow run`, as a user calls it."""

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from processes import Command

from genre_mlflow.processes import cores

ROOT = Path(__file__).parents[2]
SMALL = {
    "image_size": 32, "image_width": 32, "widths": "4,8", "head_width": 8, "statistics_share": 0,
    "epochs": 2,
}  # fmt: skip

PROCS = min(2, cores())

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def mlflow_run(folder: Path, project: str, *words: str, **parameters: object) -> Command:
    """Run the project from `folder`, as with this environment activated."""
    many = [f"{name}={value}" for name, value in {**SMALL, **parameters}.items()]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    hidden = ("MLFLOW_TRACKING_URI", "GENRE_HOME", "MLFLOW_RUN_ID", "VIRTUAL_ENV")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    command = ["run", project, *words, *(word for one in many for word in ("-P", one))]
    log = folder.parent / f"{folder.name}.log"
    return Command("mlflow", command, log, folder, {**env, "PATH": path}).join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout without the environment and what it has made."""
    folder = tmp_path / "project"
    left = shutil.ignore_patterns(".venv", ".genre", "mlruns", "mlflow.db*", ".git", ".*_cache")
    shutil.copytree(ROOT, folder, ignore=left)
    return folder


def run_id_in(output: str) -> str:
    found = re.search(r"run with ID '(\w+)'", output)
    assert found, output
    return found[1]


def test_another_folder_holds_the_store_and_the_project_holds_the_rest(
    project: Path, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music")
    here = tmp_path / "here"
    here.mkdir()
    done = mlflow_run(
        here, str(project), "--env-manager", "local", "--experiment-name", "mine",
        data=data, lr="2e-3", allow_leak="true", procs=PROCS,
    )  # fmt: skip
    assert done.code == 0, done.said
    run_id = run_id_in(done.said)
    client = MlflowClient(f"sqlite:///{here}/mlflow.db")
    run = client.get_run(run_id)
    assert client.get_experiment(run.info.experiment_id).name == "mine"
    assert run.info.status == "FINISHED"
    assert run.data.params["lr"] == "2e-3"
    assert run.data.params["dropout"] == "0.5"
    assert "test_accuracy" in run.data.metrics
    assert (f"on {PROCS} processes, " in done.said) == (PROCS > 1)
    assert (project / ".genre" / "cache").is_dir()
    assert not (project / "mlflow.db").exists()
    store = ["mlflow.db", "mlflow.db.champion.lock", "mlflow.db.lock"]
    assert sorted(path.name for path in here.iterdir()) == [*store, "mlruns"]
    assert f"--backend-store-uri sqlite:///{here}/mlflow.db" in done.said


def test_finished_run_is_joined_and_resumed_with_more_epochs(
    project: Path, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music")
    first = mlflow_run(project, ".", "--env-manager", "local", data=data, schedule="none")
    assert first.code == 0, first.said
    run_id = run_id_in(first.said)
    more = mlflow_run(
        project, ".", "--env-manager", "local", "--run-id", run_id, data=data,
        schedule="none", resume=run_id, epochs=3,
    )  # fmt: skip
    assert more.code == 0, more.said
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    steps = [m.step for m in client.get_metric_history(run_id, "val_loss")]
    assert steps == [1, 2, 3]
    assert client.get_run(run_id).info.status == "FINISHED"
    other = mlflow_run(
        project, ".", "--env-manager", "local", "--run-id", run_id, data=data, resume=run_id, lr=0.5
    )
    assert other.code != 0
    assert "Error: run" in other.said
    assert "lr was 0.003, now 0.5" in other.said
    assert "Traceback" not in other.said.split("mlflow.cli")[0]


def test_remote_git_address_runs(tmp_path: Path, make_corpus: Callable[..., Path]) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("the tests do not lie in a git checkout")
    data = make_corpus(tmp_path / "music")
    done = mlflow_run(tmp_path, f"file://{ROOT}", "--env-manager", "local", data=data)
    assert done.code == 0, done.said
    assert (tmp_path / "mlflow.db").exists()


def test_environment_manager_uv_builds_from_conda_yaml(
    project: Path, tmp_path: Path, make_corpus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_corpus(tmp_path / "music")
    monkeypatch.setenv("MLFLOW_ENV_ROOT", str(tmp_path / "envs"))
    done = mlflow_run(project, ".", "--env-manager", "uv", data=data)
    assert done.code == 0, done.said[-3000:]
    run = MlflowClient(f"sqlite:///{project}/mlflow.db").get_run(run_id_in(done.said))
    assert "genre-mlflow" in run.data.tags["versions"]
    assert run.info.status == "FINISHED"


def test_search_makes_its_own_parent_and_nests_the_run_of_mlflow(
    project: Path, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music")
    done = mlflow_run(
        project, ".", "-e", "search", "--env-manager", "local", "--experiment-name", "mine",
        data=data, trials=2, workers=1, enqueue="lr=3e-3; lr=5e-3 dropout=0.2", final_seeds=1,
    )  # fmt: skip
    assert done.code == 0, done.said
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    worker = client.get_run(run_id_in(done.said))
    parent = client.get_run(worker.data.tags["mlflow.parentRunId"])
    assert (worker.data.tags["task"], parent.data.tags["task"]) == ("worker", "search")
    assert (worker.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert parent.info.experiment_id == worker.info.experiment_id
    children = client.search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    )
    tasks = sorted(run.data.tags["task"] for run in children)
    assert tasks == ["final", "tune", "tune", "worker"]
