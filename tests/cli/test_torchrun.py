"""What is said of several processes before any of them works."""

import click
import pytest
from click.testing import CliRunner
from support import assert_mistake

from genre_mlflow.cli.main import main
from genre_mlflow.cli.torchrun import torchrun
from genre_mlflow.errors import SettingsError
from genre_mlflow.files.ranks import Rank
from genre_mlflow.jobs.together import check_processes
from genre_mlflow.options import TrainOptions
from genre_mlflow.processes import cores
from search.cli import search


@pytest.fixture(params=[0, 1])
def rank(request, monkeypatch):
    """A process of two, as torchrun starts it."""
    for name, value in {
        "RANK": request.param, "LOCAL_RANK": request.param, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2,
        "MASTER_ADDR": "localhost", "MASTER_PORT": 1,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    return request.param


@pytest.mark.parametrize("words", [
    "evaluate folder --data music", "crossval", "promote", "corpus scan music", "serve", "search",
])  # fmt: skip
def test_other_commands_refuse_several_processes_in_one_line_of_rank_0(rank, words):
    first, *rest = words.split()
    command: click.Command = search if first == "search" else main
    result = CliRunner().invoke(command, rest if first == "search" else words)
    assert result.exit_code == 2
    said = (
        f"Error: {first} is done by one process, but 2 were started; torchrun is for train alone\n"
    )
    assert result.output == ("" if rank else said)


def test_a_wrong_option_is_told_by_rank_0(rank):
    result = CliRunner().invoke(main, "train --epochs many")
    assert result.exit_code == 2
    assert ("'many' is not a valid integer" in result.output) == (rank == 0)


@pytest.mark.parametrize(("procs", "message"), [
    ("0", "0 is not in the range x>=1"), ("abc", "'abc' is not a valid integer"),
    ("-1", "-1"), ("1.5", "'1.5' is not a valid integer"),
    (str(cores() + 1), f"procs is {cores() + 1}; allowed are 1 to {cores()}, the cores here"),
])  # fmt: skip
def test_a_number_of_processes_that_cannot_be_is_refused(procs, message):
    assert_mistake(CliRunner().invoke(torchrun, [procs, "train"]), message)


@pytest.mark.parametrize(("values", "message"), [
    ({"network": "statistics"}, "^network statistics is fitted at once, by one process, but 2 w"),
    ({"batch_size": 1}, "^batch_size is 1, of which 2 processes cannot each have a track; allowed "
     "are 2 or more$"),
])  # fmt: skip
def test_what_several_processes_cannot_train_is_refused(values, message):
    options = TrainOptions.from_flat(values)
    check_processes(options, Rank())
    with pytest.raises(SettingsError, match=message):
        check_processes(options, Rank(0, 2, 0, 2))
