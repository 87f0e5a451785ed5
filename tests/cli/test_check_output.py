"""`corpus check --write` refuses, before any work, to replace what it reads or what was judged."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support import assert_mistake

from genre_mlflow.cli.main import main

GROUPS, PAIRS = "track_id,artist\na,one\n", "one,other,same\n"
JUDGED = f"{PAIRS}pop/a,pop/b,no\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to write in, with one for music that has none: whatever gets so far is refused."""
    (tmp_path / "music").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> Result:
    arguments = ["corpus", "check", "music", *words]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def refused(message: str, text: str, file: str, *words: str) -> None:
    """Told so, and the file is as it was."""
    Path(file).write_text(text)
    assert_mistake(run(*words), message)
    assert Path(file).read_text() == text


@pytest.mark.parametrize(
    ("text", "file", "option"),
    [
        (GROUPS, "x.csv", "--groups"),
        (GROUPS, "x-doubtful.csv", "--groups"),
        (JUDGED, "x.csv", "--confirmed"),
    ],
)
def test_what_is_read_is_not_replaced(text: str, file: str, option: str) -> None:
    message = rf"^Error: --write is 'x.csv', which would replace '{file}' of {option}; give"
    refused(message, text, file, option, file, "--write", "x.csv")


def test_another_name_of_the_same_file_is_known(here: Path) -> None:
    Path("x.csv").write_text(GROUPS)
    os.link("x.csv", "linked.csv")
    refused(r"would replace", GROUPS, "x.csv", "--groups", "linked.csv", "--write", "x.csv")
    refused(r"would replace", GROUPS, "x.csv", "--groups", f"{here}/x.csv", "--write", "./x.csv")


@pytest.mark.parametrize("confirmed", [[], ["--confirmed", "other.csv"]])
def test_verdicts_that_are_not_given_back_are_not_replaced(confirmed: list[str]) -> None:
    Path("other.csv").write_text(PAIRS)
    message = r"^Error: --write is 'x.csv', but 'x-doubtful.csv' has verdicts, .* --confirmed, or"
    refused(message, JUDGED, "x-doubtful.csv", *confirmed, "--write", "x.csv")


def test_what_is_no_table_of_pairs_is_not_replaced() -> None:
    message = r"^Error: --write is 'x.csv', which replaces 'x-doubtful.csv': .* has the columns a;"
    refused(message, "a\n1\n", "x-doubtful.csv", "--write", "x.csv")


@pytest.mark.parametrize(
    ("text", "words"), [(JUDGED, ["--confirmed", "x-doubtful.csv"]), (PAIRS, []), (GROUPS, [])]
)
def test_all_other_files_are_let(text: str, words: list[str]) -> None:
    Path("x-doubtful.csv" if text != GROUPS else "x.csv").write_text(text)
    assert_mistake(run(*words, "--write", "x.csv"), r"^Error: .*music")


def test_the_length_of_the_second_name_is_checked() -> None:
    name = f"{'x' * 245}.csv"  # 249 bytes; with -doubtful 258
    assert_mistake(run("--write", name), r"which writes 'x+-doubtful\.csv', too, a name of 258")
