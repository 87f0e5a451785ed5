"""The command line of the search: one clear line for a mistake, before any work."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support import assert_mistake, store_in

from genre_mlflow.cli.main import main
from genre_mlflow.errors import SettingsError
from genre_mlflow.options import TrainOptions
from search.cli import STORAGE_VARIABLE, search
from search.request import Request

SMALL = ["--image-size=32", "--image-width=32", "--widths=4,8", "--head-width=8", "--epochs=2"]


def run(*words: str) -> Result:
    return CliRunner().invoke(search, list(words), catch_exceptions=False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trials", "0"], r"^Error: trials is 0; allowed are 1 to 1000000$"),
        (["--timeout", "-1"], r"^Error: timeout is -1; allowed are 0 to 1000000000$"),
        (["--workers", "0"], r"^Error: workers is 0; allowed are 1 to 1024$"),
        (["--grace", "1"], r"^Error: grace is 1; allowed are 2 to 86400$"),
        (["--final-seeds", "-1"], r"^Error: final_seeds is -1; allowed are 0 to 1000$"),
        (["--sampler", "magic"], r"'magic' is not one of 'tpe', 'gp', 'random', 'grid'"),
        (["--pruner", "magic"], r"'magic' is not one of 'median', 'hyperband', 'halving'"),
        (["--folds", "1"], r"^Error: folds is 1; allowed are 0 and 2 to 100$"),
        (["--folds", "101"], r"^Error: folds is 101; allowed are 0 to 100$"),
        (["--folds", "30"], r"^Error: 30 folds need as many groups of each genre, but there is "),
        (["--finalists", "-1"], r"^Error: finalists is -1; allowed are 0 to 1000$"),
        (["--finalists", "3"], r"^Error: finalists is 3, but folds is 0; name the folds"),
        (["--pruner", "wilcoxon"], r"^Error: pruner wilcoxon .* of 2 or more .* got 0 and 0$"),
        (["--study", "rock'n'roll"], r"^Error: study is .*; allowed are names without"),
        (["--space", "huge"], r"^Error: --space is 'huge'; allowed are small, full and files"),
        (["--enqueue", "lr=7"], r"^Error: --enqueue has lr=7, outside of the space"),
        (["--enqueue", "lr=1e-3; x=1"], r"^Error: --enqueue has 'x=1'; allowed are NAME=VALUE"),
        (["--storage", "nonsense"], r"^Error: --storage is 'nonsense'; allowed are addresses"),
        (["--storage", "postgresql://x@127.0.0.1:1/x"], r"^Error: the storage .* cannot be opened"),
        (["--data", "no/such/folder"], r"^Error: .*no/such/folder is no folder"),
        (["--device", "abacus"], r"^Error: device 'abacus' is unknown"),
        (["--convs-per-block", "9"], r"^Error: convs_per_block is 9; allowed are 1 to 8"),
    ],
)
def test_mistake_is_one_line_with_exit_code_2(
    tmp_path: Path, music: Path, words: list[str], message: str
) -> None:
    with store_in(tmp_path / "work") as client:
        result = run("--data", str(music), *SMALL, *words)
        assert client.get_experiment_by_name("genre-mlflow") is None
    assert_mistake(result, message)


@pytest.mark.slow
def test_command_searches_prints_and_promotes(tmp_path: Path, music: Path) -> None:
    words = ["--data", str(music), *SMALL, "--lr", "0.01", "--trials", "2", "--promote"]
    with store_in(tmp_path / "work") as client:
        result = run(*words)
        assert result.exit_code == 0, result.output
        again = run(*words)
        # Another version takes both aliases: the study still speaks of its own.
        source = client.get_model_version("genre-classifier", "1").source
        other = client.create_model_version("genre-classifier", source, tags={"test_digest": "x"})
        for alias in ("champion", "challenger"):
            client.set_registered_model_alias("genre-classifier", alias, other.version)
        later = run(*words)
    lines = result.output
    assert re.search(r"^Study music-small in sqlite:.*search\.db, run \w{32}$", lines, re.M)
    assert re.search(r"^trial   0  complete .* dropout 0\.5, lr 0\.01 ", lines, re.M)
    assert re.search(r"^trial   1 ", lines, re.M)
    assert re.search(
        r"^Best of 2 trials: trial \d, validation loss \d\.\d{4}.*, accuracy \d+\.\d%$", lines, re.M
    )
    assert re.search(r"test accuracy \d+\.\d% \(95 % interval .*\), run \w{32}$", lines, re.M)
    assert "Not promoted: version 1 is the champion already" in lines
    assert "2 are there already" in again.output
    assert again.output.count("trial   ") == 0
    assert "version 1 (champion)" in again.output
    assert "version 1 (neither champion nor challenger: a newer version is)" in later.output
    assert "genre-mlflow promote --model-name genre-classifier --version 1" in later.output
    assert later.exit_code == 2
    assert "versions 2 (champion) and 1 of 'genre-classifier' were tested on" in later.stderr


@pytest.mark.slow
def test_address_of_the_storage_may_stand_in_the_environment(
    tmp_path: Path, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STORAGE_VARIABLE, f"sqlite:///{tmp_path}/mine.db")
    with store_in(tmp_path / "work"):
        result = run("--data", str(music), *SMALL, "--trials=1", "--final-seeds=0", "--storage", "")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "mine.db").exists()


def test_search_is_a_command_among_the_others() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert re.search(r"^  search  +Search for a good setting", result.output, re.M)
    assert main.get_command(None, "search") is search


def test_module_is_the_same_program() -> None:
    command = [sys.executable, "-m", "search", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: python -m search [OPTIONS]")


@pytest.mark.parametrize(("name", "value"), [("sampler", "magic"), ("pruner", "magic")])
def test_request_names_what_is_allowed(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name} is 'magic'; allowed are "):
        Request(TrainOptions(), "test", **{name: value})


def test_corpus_is_scanned_only_when_the_storage_is_there(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    with store_in(tmp_path / "work"):
        (tmp_path / "empty").mkdir()
        result = run("--data", str(tmp_path / "empty"), "--storage", "postgresql://x@127.0.0.1:1/x")
    assert "127.0.0.1" in result.stderr
