"""A rank is one of a group, and rank 0 alone speaks."""

import sys

import pytest

from genre_mlflow.files.ranks import Rank, leader_speaks, own_rank

TORCHRUN = {
    "RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "localhost", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "none",
}  # fmt: skip


def test_torchrun_tells_the_place_among_all_and_among_those_of_a_machine():
    assert own_rank(TORCHRUN) == Rank(number=3, size=4, local=1, local_size=2)


@pytest.mark.parametrize("environment", [
    {}, {"RANK": "1"}, {"MASTER_PORT": "29500"}, TORCHRUN | {"RANK": "first"},
    TORCHRUN | {"MASTER_PORT": ""}, TORCHRUN | {"WORLD_SIZE": ""},
])  # fmt: skip
def test_a_rank_without_a_group_is_a_process_on_its_own(environment):
    assert own_rank(environment) == Rank(0, 1)


@pytest.mark.parametrize(("rank", "heard"), [("0", "one line"), ("1", "")])
def test_rank_0_alone_speaks(rank, heard, monkeypatch, capsys):
    for name, value in (TORCHRUN | {"RANK": rank}).items():
        monkeypatch.setenv(name, value)
    with leader_speaks():
        print("one line", end="")
        print("one line", end="", file=sys.stderr)
    assert capsys.readouterr() == (heard, heard)
