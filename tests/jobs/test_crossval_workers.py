"""A worker of a cross-validation whose other side is gone, and one that finds other tracks."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from support import small_options

from genre_mlflow.errors import DataError
from genre_mlflow.jobs import crossval_workers
from genre_mlflow.jobs.crossval_settings import CrossvalSettings
from genre_mlflow.jobs.crossval_workers import asked_for, prepare, worker_main
from genre_mlflow.tracking.run import TrackedRun


def test_nothing_is_asked_for_where_the_other_side_is_gone() -> None:
    ours, theirs = multiprocessing.Pipe()
    ours.close()
    assert asked_for(theirs) is None


@pytest.mark.parametrize(("is_orphan", "status"), [(True, "KILLED"), (False, "RUNNING")])
def test_an_idle_worker_closes_the_run_that_nobody_else_can(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch, is_orphan: bool, status: str
) -> None:
    run = TrackedRun.create(store.create_experiment("folds"), "folds", {})
    bench = type("Bench", (), {"device": None})
    monkeypatch.setattr(crossval_workers, "prepare", lambda *_: (run, bench, []))
    monkeypatch.setattr(crossval_workers, "is_orphan", lambda: is_orphan)
    ours, theirs = multiprocessing.Pipe()
    ours.close()
    worker_main(theirs, None, None, run.id, "")
    assert store.get_run(run.id).info.status == status


def test_a_worker_that_finds_other_tracks_says_so(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    run = TrackedRun.create(store.create_experiment("folds"), "folds", {})
    options = small_options(make_corpus(tmp_path / "music"))
    with pytest.raises(DataError, match=r"music, or its table of groups, has changed since .* abc"):
        prepare(options, CrossvalSettings(3), run.id, "abc")
