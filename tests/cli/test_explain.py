import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from support import Trained, assert_mistake, store_in

from genre_mlflow.cli.main import main
from genre_mlflow.jobs.explain_files import names_of

MODEL = "models:/genre-classifier@champion"


@pytest.fixture
def here(trained: Trained, tmp_path: Path) -> Iterator[Path]:
    """A folder with a song, and the store of a trained model."""
    with store_in(tmp_path / "here", like=trained.folder):
        song = next((trained.folder / "music" / "jazz").iterdir())
        shutil.copy(song, "song.png")
        yield Path.cwd()


def explain(*words: str) -> Result:
    return CliRunner().invoke(main, ["explain", *words], catch_exceptions=False)


def test_a_file_becomes_a_picture_and_a_line(here: Path) -> None:
    result = explain("song.png", "--model", MODEL)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("song.png  ")
    assert result.output.rstrip().endswith("explanations/song.png.png")
    with Image.open("explanations/song.png.png") as picture:
        assert picture.width >= 800


def test_the_map_may_be_had_as_a_table(here: Path) -> None:
    result = explain("song.png", "--model", MODEL, "--csv", "--genre", "rock", "--out", "maps")
    assert result.exit_code == 0, result.output
    table = pd.read_csv("maps/song.png.csv", index_col="seconds")
    assert table.shape == (32, 32)
    assert 0 < table.index[0] < table.index[-1] < 30
    assert float(table.columns[-1]) < 11_025


def test_files_of_one_name_have_a_picture_each() -> None:
    names = names_of(["a/song.png", "b/song.png", "b/other.png"])
    assert len({*names.values()}) == 3
    assert names["b/other.png"] == "other.png"


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_explained(here: Path) -> None:
    Path("empty.mp3").touch()
    result = explain("empty.mp3", "song.png", "--model", MODEL)
    assert result.exit_code == 2
    assert "empty.mp3  error: is empty\n" in result.output
    assert [path.name for path in Path("explanations").iterdir()] == ["song.png.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"^Error: explain takes FILES or --run RUN_ID, but neither is given$"),
        (["song.png", "--run", "abc"], r"but both are given$"),
        (["song.png", "--robustness"], r"^Error: --robustness is for --run alone$"),
        (["--run", "abc", "--genre", "rock"], r"^Error: --genre is for files alone$"),
        (["--run", "abc"], r"^Error: there is no run 'abc' in this store"),
        (["nowhere.png", "--model", MODEL], r"^Error: nowhere.png does not exist$"),
        (["explanations", "--model", MODEL], r"^Error: explanations does not exist$"),
        ([".", "--model", MODEL], r"^Error: \. is a folder; name the files to explain$"),
        (["song.png", "--model", "nowhere"], r"^Error: nowhere is no folder"),
        (["song.png", "--model", MODEL, "--genre", "polka"],
         r"^Error: genre is 'polka'; the model knows blues, jazz, rock$"),
        (["song.png", "--model", MODEL, "--out", "song.png"],
         r"^Error: --out is 'song.png', where no file can be written: File exists$"),
        (["song.png", "--model", MODEL, "--out", "song.png/maps"],
         r"^Error: --out is 'song.png/maps', where no file can be written: Not a directory$"),
        (["song.png", "--model", MODEL, "--device", "abacus"], r"^Error: device 'abacus' is"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_a_line_and_leave_nothing(here: Path, words, message) -> None:
    before = names_in(here)
    result = explain(*words)
    assert_mistake(result, message)
    assert result.stderr.count("\n") == 1
    assert names_in(here) == before


def names_in(folder: Path) -> list[str]:
    """What lies there, but for the store's lock."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_choices_are_listed(here: Path) -> None:
    result = explain("song.png", "--method", "guess")
    assert result.exit_code == 2
    assert "'guess' is not one of 'auto', 'grad-cam', 'hires-cam', 'occlusion'" in result.stderr
