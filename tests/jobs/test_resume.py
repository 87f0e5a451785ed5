"""A run that is killed and resumed ends as one that never stopped."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient
from processes import Command
from safetensors.torch import load_file
from support import EXPERIMENT, SMALL, InterruptAfter, small_options, store_in

from genre_mlflow.cli.base import speaking
from genre_mlflow.errors import ModelError, SettingsError
from genre_mlflow.jobs.train import train
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.sessions import checkpoint_folder, hold

WALL_CLOCK = ("epoch_seconds", "images_per_s", "system/")


class Killed(BaseException):
    """Ends the process's work at once, as a signal would: nothing catches it."""


def history_of(client: MlflowClient, run_id: str) -> dict[str, list[tuple[int, float]]]:
    """Everything logged, by metric, but what depends on the clock."""
    names = [n for n in client.get_run(run_id).data.metrics if not n.startswith(WALL_CLOCK)]
    return {
        name: [(m.step, m.value) for m in client.get_metric_history(run_id, name)] for name in names
    }


def weights_of(client: MlflowClient, name: str) -> dict[str, torch.Tensor]:
    version = client.get_model_version_by_alias(name, "challenger")
    folder = client.get_logged_model(version.source.rpartition("/")[2]).artifact_location
    path = folder.removeprefix("file://")
    return load_file(next(Path(path).rglob("weights.safetensors")))


def assert_same(client: MlflowClient, run_id: str, reference: str, models: list[str]) -> None:
    """The same history, weights, files and entries as the run that was never stopped."""
    assert history_of(client, run_id) == history_of(client, reference)
    ours, theirs = (weights_of(client, name) for name in models)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert entries_of(client, run_id) == entries_of(client, reference)
    assert client.get_run(run_id).info.status == "FINISHED"
    assert len(client.search_model_versions(f"name = '{models[0]}'")) == 1


def entries_of(client: MlflowClient, run_id: str) -> tuple[list[str], list[str]]:
    """Names of all artifacts, those of images up to their step, and of logged models."""
    paths = []
    folders = [""]
    while folders:
        for entry in client.list_artifacts(run_id, folders.pop()):
            (folders if entry.is_dir else paths).append(entry.path)
    experiment = client.get_run(run_id).info.experiment_id
    query = f"source_run_id = '{run_id}'"
    models = [m.name for m in client.search_logged_models([experiment], filter_string=query)]
    return sorted(path.split("timestamp")[0] for path in paths), sorted(models)


def whole_options(data: Path, name: str) -> TrainOptions:
    """Small options, with all that a run has to keep: averaged weights, what is fitted first, an
    ensemble.
    """
    return small_options(
        data, model_name=name, schedule="one-cycle", stem="textures", crop=0.5,
        statistics_share=0.67, mixup=0.3, ema_decay=0.9, ensemble=2,
        time_stretch=0.1, pitch_shift=1.0, roll=0.5, gain_db=3.0, noise_db=1.0, time_mask=0.1,
        frequency_mask=0.1,
    )  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """A store with one run that was never stopped."""

    client: MlflowClient
    run_id: str
    data: Path

    def options(self, name: str) -> TrainOptions:
        return whole_options(self.data, name)


@pytest.fixture(scope="module")
def reference(
    tmp_path_factory: pytest.TempPathFactory, make_corpus: Callable[..., Path]
) -> Iterator[Reference]:
    folder = tmp_path_factory.mktemp("resume")
    data = make_corpus(folder / "music")
    with store_in(folder) as client:
        options = whole_options(data, "reference")
        run_id = train(options, experiment="reference").run_id
        yield Reference(client, run_id, data)


@pytest.fixture
def experiment(
    request: pytest.FixtureRequest, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A name of the test's own, for its experiment and its model; the home of the reference."""
    monkeypatch.setenv("GENRE_HOME", str(reference.data.parent / ".genre"))
    return re.sub(r"\W", "-", request.node.name)


def only_run(client: MlflowClient, experiment: str) -> str:
    found = client.get_experiment_by_name(experiment)
    (run,) = client.search_runs([found.experiment_id])
    return str(run.info.run_id)


@pytest.mark.parametrize("epoch", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_interrupted_run_is_killed_and_ends_as_if_never_stopped(
    reference: Reference, experiment: str, epoch: int
) -> None:
    said: list[str] = []
    options, client = reference.options(experiment), reference.client
    with speaking(said.append), pytest.raises(KeyboardInterrupt):
        train(options, experiment=experiment, observer=InterruptAfter(epoch))
    run_id = only_run(client, experiment)
    assert client.get_run(run_id).info.status == "KILLED"
    assert said[-1].startswith("Stopped. Go on with: ")
    assert said[-1].endswith(f"genre-mlflow train --resume {run_id}")
    train(options, experiment=experiment, resume=run_id)
    assert_same(client, run_id, reference.run_id, [experiment, "reference"])


def die_at(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the given call of any writing method of MLflow's client the last thing that happens.

    Odd calls die before they write, even ones after.
    """
    calls = 0
    names = [
        "log_batch", "log_dict", "log_image", "log_text", "log_inputs", "log_artifacts",
        "create_logged_model", "log_model_artifacts", "finalize_logged_model", "log_outputs",
        "set_registered_model_alias",
    ]  # fmt: skip

    def deadly(method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            if threading.current_thread().name not in ("MainThread", "mlflow-sender"):
                return method(*args, **kwargs)  # system metrics, at times of their own
            calls += 1
            if calls == call and call % 2:
                raise Killed
            result = method(*args, **kwargs)
            if calls == call:
                raise Killed
            return result

        return wrapped

    for name in names:
        monkeypatch.setattr(MlflowClient, name, deadly(getattr(MlflowClient, name)))


# A run of three epochs makes 37 such calls; these lie in its start, each epoch and its end.
@pytest.mark.slow
@pytest.mark.parametrize("call", [2, 9, 14, 20, 23, 28, 31, 33, 36])
def test_run_that_dies_within_tracking_repeats_nothing(
    reference: Reference, experiment: str, call: int
) -> None:
    options, client = reference.options(experiment), reference.client
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        die_at(call, patch)
        train(options, experiment=experiment)
    run_id = only_run(client, experiment)
    train(options, experiment=experiment, resume=run_id)
    assert_same(client, run_id, reference.run_id, [experiment, "reference"])


@pytest.mark.slow
def test_more_epochs_are_allowed_and_go_on_where_it_ended(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music")
    long = train(
        small_options(data, epochs=4, schedule="none", model_name="long"), experiment=EXPERIMENT
    )
    short = small_options(data, epochs=2, schedule="none", model_name="short")
    run_id = train(short, experiment=EXPERIMENT).run_id
    more = small_options(data, epochs=4, schedule="none", model_name="short")
    assert "epochs" not in store.get_run(run_id).data.tags
    train(more, experiment=EXPERIMENT, resume=run_id, given={"epochs"})
    run = store.get_run(run_id)
    assert (run.data.params["epochs"], run.data.tags["epochs"]) == ("2", "4")
    first, second = run.data.tags["test_set_read"].split("; ")
    assert first.endswith("UTC after 2 epochs")
    assert second.endswith("UTC after 4 epochs")
    card = Path(store.download_artifacts(run_id, "model_card.md")).read_text("utf-8")
    assert f"The test set was read twice ({first}; {second}), after that choice." in card
    assert "epochs 4" in card
    per_epoch = [n for n in history_of(store, run_id) if n.startswith(("train_", "val_", "lr"))]
    assert per_epoch
    for name in per_epoch:
        assert history_of(store, run_id)[name] == history_of(store, long.run_id)[name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 0.5}, r"other options \(lr was 0\.01, now 0\.5\)"),
        ({"epochs": 1}, r"epochs was 3, now 1"),
        ({"widths": (8, 8)}, r"widths was 4,8, now 8,8"),
    ],
)
def test_changed_options_are_refused(
    reference: Reference, experiment: str, changes: dict[str, Any], message: str
) -> None:
    changed = small_options(reference.data, **changes)
    with pytest.raises(SettingsError, match=message):
        train(changed, experiment="x", resume=reference.run_id, given=set(changes))


@pytest.mark.slow
def test_changed_data_is_refused(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    options = small_options(make_corpus(tmp_path / "music"), epochs=1)
    run_id = train(options, experiment=EXPERIMENT).run_id
    next((tmp_path / "music").rglob("*.png")).unlink()
    with pytest.raises(ModelError, match="its corpus had the digest"):
        train(options, experiment=EXPERIMENT, resume=run_id)
    assert store.get_run(run_id).info.status == "FINISHED"


def test_missing_checkpoint_is_named(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENRE_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(ModelError, match=r"has no state\.pt; it was written below .*GENRE_HOME"):
        train(reference.options("m"), experiment="x", resume=reference.run_id)


@pytest.mark.slow
def test_damaged_configuration_is_named(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    options = small_options(make_corpus(tmp_path / "music"), epochs=1)
    run_id = train(options, experiment=EXPERIMENT).run_id
    (checkpoint_folder(run_id) / "config.json").write_text("{")
    with pytest.raises(ModelError, match=rf"config\.json of run {run_id} is damaged"):
        train(options, experiment=EXPERIMENT, resume=run_id)


def test_a_run_of_something_else_is_refused(store: MlflowClient) -> None:
    experiment = store.create_experiment(EXPERIMENT)
    other = store.create_run(experiment).info.run_id
    store.log_metric(other, "accuracy", 1.0)
    evaluation = store.create_run(experiment, tags={"task": "evaluate"}).info.run_id
    for run_id in (other, evaluation):
        with pytest.raises(ModelError, match=f"run {run_id} is no training run of genre-mlflow"):
            train(small_options("unused"), experiment=EXPERIMENT, resume=run_id)


def test_joining_a_trained_run_without_resume_is_refused(
    reference: Reference, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", reference.run_id)
    with pytest.raises(ModelError, match=f"go on with it by -P resume={reference.run_id}"):
        train(reference.options("m"), experiment=experiment)


def test_a_run_that_is_being_trained_cannot_be_resumed_beside(
    reference: Reference, experiment: str
) -> None:
    with (
        hold(reference.run_id),
        pytest.raises(ModelError, match="is being trained by another process"),
    ):
        train(reference.options("m"), experiment=experiment, resume=reference.run_id)


def test_unknown_run_is_named(store: MlflowClient) -> None:
    with pytest.raises(ModelError, match="there is no run 'f00' in this store"):
        train(small_options("unused"), experiment=EXPERIMENT, resume="f00")


def words(data: Path, name: str, *more: str) -> list[str]:
    flat = [
        f"--{k.replace('_', '-')}={v}" for k, v in SMALL.items() if k not in ("widths", "epochs")
    ]
    return [
        "train", f"--data={data}", "--widths=4,8", *flat, "--epochs=40",
        f"--experiment={EXPERIMENT}", f"--model-name={name}", *more,
    ]  # fmt: skip


def begin(folder: Path, words: list[str]) -> Command:
    return Command("genre_mlflow", words, folder / "command.log", folder, os.environ)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [1])
def test_run_killed_at_random_moments_ends_as_if_never_stopped(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path], seed: int
) -> None:
    """SIGKILL, four times in one run, each a random time after the run has come to life."""
    rng = random.Random(seed)
    data = make_corpus(tmp_path / "music")
    begin(tmp_path, words(data, "reference")).wait()
    experiment = store.get_experiment_by_name(EXPERIMENT).experiment_id
    reference = store.search_runs([experiment])[0].info.run_id
    run_id, kills, more = "", 0, []
    while kills < 4:
        before = started_at(run_id) if run_id else 0
        process = begin(tmp_path, words(data, "resumed", *more))
        run_id = run_id or wait_for_run(store, experiment, reference)
        wait_until_running(process, run_id, before)
        time.sleep(rng.uniform(0, 1.0))  # forty epochs take twice as long at the least
        if process.kill() == 0:
            break
        kills += 1
        more = ["--resume", run_id]
    begin(tmp_path, words(data, "resumed", *more)).wait()
    assert kills >= 1
    assert_same(store, run_id, reference, ["resumed", "reference"])


def wait_for_run(client: MlflowClient, experiment: str, reference: str) -> str:
    for _ in range(1200):
        ids = [run.info.run_id for run in client.search_runs([experiment])]
        if len(ids) == 2:
            return next(i for i in ids if i != reference)
        time.sleep(0.05)
    pytest.fail("no run was opened")


def started_at(run_id: str) -> int:
    """When the run's configuration was last written, which each start does once it has begun."""
    path = Path(os.environ["GENRE_HOME"]) / "checkpoints" / run_id / "config.json"
    return path.stat().st_mtime_ns if path.exists() else 0


def wait_until_running(process: Command, run_id: str, before: int) -> None:
    """Until the process has come to life."""
    for _ in range(2400):
        if process.code is not None or started_at(run_id) != before:
            return
        time.sleep(0.05)


@pytest.mark.slow
def test_ctrl_c_on_the_command_line_says_how_to_resume(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music")
    lines = []
    command = [sys.executable, "-m", "genre_mlflow", *words(data, "m", "--epochs=100000")]
    # A shell that runs the tests in the background has them ignore SIGINT; a user's does not.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.strip().startswith("2/100000"):
                process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    experiment = store.get_experiment_by_name(EXPERIMENT).experiment_id
    run = store.search_runs([experiment])[0]
    assert run.info.status == "KILLED"
    assert f"genre-mlflow train --resume {run.info.run_id}" in "".join(lines)
