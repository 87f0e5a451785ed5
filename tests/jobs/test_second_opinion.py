"""The recipe of the docs for a second opinion on labels finds labels that are wrong."""

import re
from pathlib import Path

import pytest
from mlflow import MlflowClient

from genre_mlflow.jobs.crossval import crossval
from genre_mlflow.jobs.crossval_settings import CrossvalSettings
from genre_mlflow.options import TrainOptions

PAGE = Path(__file__).parents[2] / "docs" / "corpus.md"
SWAPPED = ("blues/jazz.00003", "jazz/rock.00007", "rock/blues.00011")


def recipe() -> str:
    (text,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return text


@pytest.mark.slow
def test_labels_that_were_swapped_come_first(
    tmp_path: Path, store: MlflowClient, make_corpus, capsys: pytest.CaptureFixture[str]
):
    music = make_corpus(tmp_path / "music", tracks=20, size=64)
    for track in SWAPPED:
        genre, name = track.split("/")
        (music / name.split(".")[0] / f"{name}.png").rename(music / genre / f"{name}.png")
    options = TrainOptions.from_flat(
        {"data": str(music), "network": "statistics", "image_size": 64, "image_width": 64}
    )
    crossval(options, CrossvalSettings(folds=5), experiment="labels")
    capsys.readouterr()
    exec(compile(recipe(), str(PAGE), "exec"), {})
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["track_id", "genre", "predicted", "confidence"]
    found = [row.split() for row in rows if "/" in row]
    assert {row[0] for row in found[: len(SWAPPED)]} == set(SWAPPED)
    assert all(row[2] == row[0].split("/")[1].split(".")[0] for row in found[: len(SWAPPED)])
