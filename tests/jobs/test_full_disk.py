"""A full disk ends a training in one line, leaves nothing half written, and loses no epoch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient
from support import EXPERIMENT, runs_in, small_options

from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.jobs.train import train
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sessions import checkpoint_folder

resource = pytest.importorskip("resource")  # limits of a process are POSIX
MOST = 3_000_000  # bytes that a file may have, more than an empty store and less than what follows


@contextmanager
def no_room_for_large_files() -> Iterator[None]:
    """The nearest to a full disk that needs no disk of its own: larger files cannot be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_error_names_the_file(tmp_path: Path) -> None:
    with (
        no_room_for_large_files(),
        pytest.raises(OSError, match=f"{tmp_path / 'big'}'$"),
        atomic_write(tmp_path / "big") as file,
    ):
        file.write(bytes(MOST + 1))
    assert os.listdir(tmp_path) == []


def test_a_model_that_does_not_fit_leaves_no_half_of_a_file(
    store: MlflowClient, tmp_path: Path
) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(MOST + 1))
    run = TrackedRun.create(store.create_experiment("full"), "full", {})
    model_id = run.create_model("epoch-0001", "checkpoint", 1)
    with (
        no_room_for_large_files(),
        pytest.raises(OSError, match="File too large"),
        run.model_folder(model_id) as folder,
    ):
        (folder / "config").write_bytes(b"x")
        (folder / "weights").symlink_to(big)
    assert store.list_logged_model_artifacts(model_id) == []


@pytest.mark.slow
def test_a_training_ends_in_one_line_and_goes_on_when_there_is_room(
    store: MlflowClient, tmp_path: Path, make_corpus
) -> None:
    options = small_options(make_corpus(tmp_path / "music"), widths=(8, 320), epochs=2)
    options = options.changed(convs_per_block=2)  # 3.7 MB of weights
    with no_room_for_large_files(), pytest.raises(OSError, match="File too large"):
        train(options, experiment=EXPERIMENT)
    (run,) = runs_in(store)
    assert run.info.status == "FAILED"
    folder = checkpoint_folder(run.info.run_id)
    assert sorted(os.listdir(folder)) == ["config.json", "lock", "waiting"]
    outcome = train(options, experiment=EXPERIMENT, resume=run.info.run_id)
    assert outcome.run_id == run.info.run_id
    assert store.get_run(outcome.run_id).info.status == "FINISHED"
