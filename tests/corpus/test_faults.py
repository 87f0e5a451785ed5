"""Of many bad files a reader is told the reasons, how many there are of each, and the first."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from genre_mlflow.cli.main import main
from genre_mlflow.corpus.faults import SHOWN, bad_lines
from genre_mlflow.corpus.folders import BadFile
from genre_mlflow.features.images import KNOWN


def bad(n: int, reason: str, name: str = "x") -> list[BadFile]:
    return [BadFile(Path(f"/m/{name}{i}"), reason.format(i)) for i in range(n)]


@pytest.fixture
def corpus(tmp_path, make_corpus):
    return make_corpus(tmp_path / "music", tracks=8)


def show(command: str, *words: object) -> Result:
    arguments = [*command.split(), *map(str, words)]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def spoil(folder: Path, n: int) -> None:
    """Put files of three kinds among the tracks."""
    for i in range(n):
        (folder / "blues" / f"empty {i:03d}.wav").touch()
        (folder / "jazz" / f"text {i:03d}.txt").write_text("words " * (i + 1))
    (folder / "rock" / "lost\x1b.png").symlink_to("nowhere")


def test_few_files_have_a_line_each():
    files = bad(SHOWN - 1, "has {} bytes") + bad(1, "is empty", "y")
    assert bad_lines(files) == [*(f"/m/x{i}: has {i} bytes" for i in range(9)), "/m/y0: is empty"]


def test_many_files_are_grouped_by_reasons_that_differ_in_their_numbers():
    files = bad(3, "is empty") + bad(600, "is no MP3 ({},000 bytes)", "y") + bad(1, "is odd", "z")
    assert bad_lines(files) == [
        "600 files: is no MP3 (N bytes)", "  /m/y0", "  /m/y1", "  /m/y2",
        "3 files: is empty", "  /m/x0", "  /m/x1", "  /m/x2",
        "1 file: is odd", "  /m/z0",
        "... and 597 more",
    ]  # fmt: skip


def test_of_many_reasons_the_commonest_are_shown():
    files = [file for i in range(300) for file in bad(1 + i % 2, f"is {chr(300 + i)}")]
    lines = bad_lines(files)
    assert len(lines) == 2 * SHOWN + 1
    assert lines[0] == "2 files: is \u012d"
    assert lines[-1] == "... and 440 more"


def test_a_wrong_folder_is_a_message_that_can_be_read(corpus):
    spoil(corpus, 300)
    result = show("corpus scan", corpus)
    assert result.exit_code == 2
    head, *lines = result.stderr.splitlines()
    assert head == (
        f"Error: 601 files below {corpus} cannot be used; mend or remove what is named here, or go "
        "on without it with --on-bad-file skip:"
    )
    assert [line.replace(str(corpus), "") for line in lines] == [
        "  300 files: is empty", *(f"    /blues/empty 00{i}.wav" for i in range(3)),
        f"  300 files: is neither {KNOWN} (N bytes)",
        *(f"    /jazz/text 00{i}.txt" for i in range(3)),
        "  1 file: cannot be read: No such file or directory", "    /rock/lost\\x1b.png",
        "  ... and 594 more",
        "all of them are written by genre-mlflow corpus scan  --faults FILE.json",
    ]  # fmt: skip


def test_all_bad_files_are_written_where_it_is_asked_for(corpus, tmp_path):
    spoil(corpus, 30)
    for words in ([], ["--on-bad-file", "skip"]):
        out = tmp_path / f"{len(words)}.json"
        result = show("corpus scan", corpus, "--faults", out, *words)
        assert result.exit_code == (0 if words else 2)
        assert result.stdout.endswith(f"Faults: {out}\n")
        assert "Give --faults" not in result.output
        found = json.loads(out.read_text())["bad_files"]
        assert len(found) == 61
        assert {"path": str(corpus / "blues" / "empty 029.wav"), "reason": "is empty"} in found


def test_all_bad_files_are_written_also_of_a_folder_that_holds_nothing_else(tmp_path):
    for genre in ("blues", "jazz", "rock"):
        (tmp_path / "music" / genre).mkdir(parents=True)
    spoil(tmp_path / "music", 30)
    words = (tmp_path / "music", "--on-bad-file", "skip", "--faults", tmp_path / "f.json")
    result = show("corpus scan", *words)
    assert result.exit_code == 2
    assert result.stderr.endswith("in one folder a genre (61 files could not be read)\n")
    assert len(json.loads((tmp_path / "f.json").read_text())["bad_files"]) == 61


def test_an_overview_shows_the_first_of_each_kind_and_how_to_have_all(corpus, tmp_path):
    spoil(corpus, 30)
    for i in range(25):
        (corpus / "jazz" / f"._{i:02d}").touch()
    result = show("corpus scan", corpus, "--on-bad-file", "skip")
    assert result.exit_code == 0
    assert "bad files: 61\n  30 files: is empty\n    /" in result.stdout
    assert "files of other programs left out: 25\n" in result.stdout
    assert result.stdout.count("/._") == SHOWN
    assert "\n  ... and 15 more\n" in result.stdout
    assert result.stdout.endswith("\nGive --faults FILE.json to have all of them written.\n")
    assert result.stdout.count("\n") < 50


@pytest.mark.parametrize("out", ["faults.csv", "no/faults.json"])
def test_a_file_that_cannot_be_written_is_refused_first(corpus, out):
    result = show("corpus scan", corpus, "--faults", out)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: --faults is '{out}'")


def test_a_sheet_of_a_wrong_folder_says_as_little(corpus, tmp_path):
    spoil(corpus, 30)
    result = show("corpus show", corpus, "--out", tmp_path / "s.png", "--per-genre", 20)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[0] == "30 files: is empty"
    assert result.stderr.count("\n") < 15
