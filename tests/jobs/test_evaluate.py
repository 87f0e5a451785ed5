"""An evaluation says which of its tracks the model knows from its training, or that nobody can."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from PIL import Image
from support import Trained, small_options, train_small

import genre_mlflow
from genre_mlflow.corpus.scan import scan
from genre_mlflow.errors import DataError, ModelError
from genre_mlflow.jobs.evaluate import evaluate
from genre_mlflow.jobs.known_tracks import KnownTracks
from genre_mlflow.tracking.registry import training_manifest, training_run
from genre_mlflow.tracking.run import TrackedRun

CHAMPION = "models:/genre-classifier@champion"
OTHER = "evaluations of others"


@pytest.fixture(scope="module")
def known(trained: Trained) -> pd.DataFrame:
    """The tracks that the model was trained with."""
    return training_manifest(training_run(CHAMPION))


@pytest.fixture
def others(tmp_path: Path, make_corpus: Callable[..., Path]) -> Path:
    """Music that the model has never met, though some of it is called as what it has."""
    folder = make_corpus(tmp_path / "others", tracks=3)
    for path in folder.rglob("*.png"):
        Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
    return folder


def paths(known: pd.DataFrame, split: str) -> list[Path]:
    return [Path(path) for path in known["path"][known["split"] == split]]


def evaluated(folder: Path, **more: object):
    return evaluate(CHAMPION, small_options(folder), split="all", experiment=OTHER, **more)


def tags_of(client: MlflowClient, run_id: str) -> tuple[str, str]:
    tags = client.get_run(run_id).data.tags
    return tags["tracks_of_training"], tags["tracks_of_validation"]


def test_the_test_set_of_the_training_is_not_known(trained: Trained, caplog) -> None:
    result = evaluate(CHAMPION, trained.options, split="test", experiment="its own", strict=True)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (result.known.n, result.known.train, result.known.val) == (6, [], [])
    assert tags_of(trained.client, result.run_id) == ("0", "0")


def test_tracks_of_train_and_val_are_told_by_number_and_name(
    trained: Trained, known: pd.DataFrame, caplog
) -> None:
    result = evaluate(CHAMPION, trained.options, split="all", experiment="its own")
    tracks = {split: list(known["track_id"][known["split"] == split]) for split in ("train", "val")}
    assert (result.known.train, result.known.val) == (tracks["train"], tracks["val"])
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    run = f"run {trained.outcome.run_id}"
    assert f"48 of the 60 tracks were in train of {run}, on which the model was trained: " in line
    assert f"; 6 of the 60 tracks were in val of {run}, which chose the model's epoch: " in line
    assert f"{', '.join(tracks['train'][:5])} and 43 more;" in line
    assert "\n" not in line
    assert tags_of(trained.client, result.run_id) == ("48", "6")


def test_files_count_and_not_their_names(
    trained: Trained, known: pd.DataFrame, others: Path, tmp_path: Path
) -> None:
    (others / "rock" / "new name.png").write_bytes(paths(known, "train")[0].read_bytes())
    (others / "jazz" / "another.png").write_bytes(paths(known, "val")[0].read_bytes())
    (others / "blues" / "tested.png").write_bytes(paths(known, "test")[0].read_bytes())
    result = evaluated(others)
    assert result.known.train == ["rock/new name"]
    assert result.known.val == ["jazz/another"]


@pytest.mark.slow
def test_pixels_count_where_the_files_have_been_seen_before(
    trained: Trained, known: pd.DataFrame, others: Path
) -> None:
    with Image.open(paths(known, "train")[0]) as image:
        image.save(others / "rock" / "other bytes.png", compress_level=1)
    assert evaluated(others).known.train == []
    scan(trained.folder / "music")  # as the training does, which here had a home of its own
    assert evaluated(others).known.train == ["rock/other bytes"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_strict_refuses_known_tracks_before_a_run_is_opened(
    trained: Trained, known: pd.DataFrame, others: Path, split: str
) -> None:
    (others / "rock" / "new name.png").write_bytes(paths(known, split)[0].read_bytes())
    message = rf"^1 of the 10 tracks were in {split} of .*: rock/new name; --strict evaluates on no"
    with pytest.raises(DataError, match=message):
        evaluate(CHAMPION, small_options(others), split="all", experiment="none", strict=True)
    assert trained.client.get_experiment_by_name("none") is None


def test_a_folder_names_no_run(trained: Trained, others: Path, tmp_path: Path, caplog) -> None:
    model = str(tmp_path / "model")
    genre_mlflow.load(CHAMPION).save(Path(model))
    unknown = (
        f"what the model was trained on cannot be known: {model} is a folder, which names no run"
    )
    result = evaluate(model, small_options(others), split="all", experiment=OTHER)
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        f"Warning: {unknown}"
    ]
    assert result.known.summary() == "unknown whether trained on"
    assert tags_of(trained.client, result.run_id) == ("unknown", "unknown")
    message = f"^{re.escape(unknown)}; --strict evaluates no such model$"
    with pytest.raises(ModelError, match=message):
        evaluate(model, small_options(others), split="all", experiment="none", strict=True)
    assert trained.client.get_experiment_by_name("none") is None


@pytest.mark.slow
def test_a_run_whose_manifest_is_damaged_or_gone_says_nothing(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    music = make_corpus(tmp_path / "music")
    run = TrackedRun.find(train_small(music, epochs=1).run_id)

    def refused(message: str) -> None:
        with pytest.raises(ModelError, match=f"cannot be known: .*{message}.*; --strict"):
            evaluate(CHAMPION, small_options(music), split="test", experiment=OTHER, strict=True)

    run.log_text('track_id\n"a', "data/manifest.csv")
    refused(r"data/manifest\.csv of its run is damaged: .*EOF")
    run.log_text("track_id,path\na,b\n", "data/manifest.csv")
    refused(r"data/manifest\.csv of its run has not the columns track_id, path, genre")
    run.delete_artifact("data/manifest.csv")
    refused(rf"run {run.id} has no data/manifest\.csv")


def test_a_trial_has_the_manifest_of_its_study(trained: Trained, known: pd.DataFrame) -> None:
    tags = {"mlflow.parentRunId": trained.outcome.run_id}
    trial = TrackedRun.create(trained.client.create_experiment("a study"), "trial", tags)
    pd.testing.assert_frame_equal(training_manifest(trial), known)


def test_names_of_tracks_cannot_break_the_line() -> None:
    found = KnownTracks(3, "abc", "", ["rock/a\nb", "rock/\x1b[2J"], [])
    assert found.sentence().endswith(r": rock/a\nb, rock/\x1b[2J")
