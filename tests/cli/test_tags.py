"""Mistakes of `corpus groups` are told before any work."""

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
