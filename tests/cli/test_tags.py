"""Mistakes of `corpus groups` are told before any work."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from support import assert_mistake

from genre_mlflow.cli.main import main


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none", "--out", "x.csv"], "none is no folder; give one"),
        (["none", "--out", "x.txt"], r"--out is 'x\.txt'; allowed are names that end in \.csv"),
        (["", "--out", "x.csv"], "data is empty; give a folder"),
    ],
)
def test_mistakes_are_one_line(words, message):
    assert_mistake(CliRunner().invoke(main, ["corpus", "groups", *words]), message)


def test_a_table_that_was_mended_by_hand_is_not_replaced(tmp_path: Path) -> None:
    table = tmp_path / "artists.csv"
    table.write_text("mine")
    result = CliRunner().invoke(main, ["corpus", "groups", str(tmp_path), "--out", str(table)])
    assert_mistake(result, "is there already, mended by hand perhaps; name another")
    assert table.read_text() == "mine"
