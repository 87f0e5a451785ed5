"""What is on two sides of the split is told by the run, by the version and by the card."""

from collections.abc import Callable
from pathlib import Path
from shutil import copyfile

import pytest
from mlflow import MlflowClient
from support import EXPERIMENT, small_options, train_small

from genre_mlflow.corpus.settings import SplitSettings
from genre_mlflow.errors import DataError
from genre_mlflow.jobs.card.corpus import what_leaks
from genre_mlflow.jobs.train import train

SIDES = {"train": range(12), "val": range(12, 16), "test": range(16, 20)}


@pytest.fixture
def music(tmp_path: Path, make_corpus: Callable[..., Path]) -> Path:
    return make_corpus(tmp_path / "music")


@pytest.fixture
def given(tmp_path: Path) -> dict[str, object]:
    """A split whose sides an artist and a recording have in common."""
    for name, numbers in SIDES.items():
        ids = [f"{genre}.{i:05d}" for genre in ("blues", "jazz", "rock") for i in numbers]
        (tmp_path / f"{name}.txt").write_text("\n".join(ids))
    table = "track_id,artist,recording\njazz.00001,Ann,\njazz.00013,Ann,X\njazz.00017,,X\n"
    (tmp_path / "groups.csv").write_text(table)
    return {"split_dir": str(tmp_path), "groups": str(tmp_path / "groups.csv"), "epochs": 1}


@pytest.mark.slow
def test_a_leak_that_is_let_is_told_by_run_version_and_card(
    store: MlflowClient, music: Path, given: dict[str, object]
) -> None:
    copyfile(music / "rock" / "rock.00000.png", music / "rock" / "rock.00019.png")
    outcome = train_small(music, **given, group_by="artist", allow_leak=True)
    run = store.get_run(outcome.run_id)
    version = store.get_model_version(outcome.model_name, outcome.version)
    card = Path(store.download_artifacts(outcome.run_id, "model_card.md")).read_text("utf-8")
    leak = (
        "A leak: 1 track with copies in another split; 1 artist on two sides of the split, 2 "
        "tracks in all; the test says too much."
    )
    for text in (run.data.tags["mlflow.note.content"], version.description, card):
        assert f"**{leak}**" in text
    assert run.data.params["group_by"] == "artist" and run.data.params["allow_leak"] == "true"
    for tags in (run.data.tags, version.tags):
        assert tags["leaking_groups"] == tags["groups_in_two_splits"] == "1"
    assert "Copies (equal" not in card and "`--allow-leak` has let them" in card


def test_a_leak_is_refused_before_a_run_is_opened(
    store: MlflowClient, music: Path, given: dict[str, object]
) -> None:
    with pytest.raises(DataError, match=r"^1 recording on two sides .*jazz/jazz.00017 in test"):
        train(small_options(music, **given, group_by="recording"), experiment=EXPERIMENT)
    assert store.get_experiment_by_name(EXPERIMENT) is None


def test_where_nothing_leaks_the_card_says_by_what(tmp_path: Path) -> None:
    copies = "Copies (equal pixels or samples) are never in two splits."
    table = str(tmp_path / "groups.csv")
    assert what_leaks(SplitSettings(allow_leak=True), "") == copies
    assert what_leaks(SplitSettings(groups=table), "") == (
        f"{copies} Nor are groups of the table `groups.csv`, by artist and recording."
    )
    assert what_leaks(SplitSettings(groups=table, group_by="artist"), "") == (
        f"{copies} Nor are groups of the table `groups.csv`, by artist."
    )
    told = "**A leak: 2 artists on two sides; the test says too much.**"
    assert what_leaks(SplitSettings(groups=table), "2 artists on two sides") == (
        f"{told} All of them are in `data/faults.json`."
    )
