"""A rank is one of a group; what a leader says is read by its own group alone."""

import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

from genre_mlflow.errors import ModelError
from genre_mlflow.files import ranks
from genre_mlflow.files.ranks import Rank, follows, hold_together, leading, own_rank

# A process that goes in, says so, and stays until it is told to leave; or says why it may not.
HOLD = """
import sys
from pathlib import Path
from genre_mlflow.errors import ModelError
from genre_mlflow.files import ranks

ranks.LEADER_WAIT_S = float(sys.argv[2])
try:
    with ranks.hold_together(Path(sys.argv[1]), ModelError("taken")):
        print("in", flush=True)
        sys.stdin.readline()
except ModelError as error:
    print(error, flush=True)
"""
NOT_THERE = "taken, or rank 0 of this group, which rank 1 follows, is not there"


def torchrun(rank: int, port: int = 29500, run_id: str = "none") -> dict[str, str]:
    """What torchrun sets."""
    return {
        "RANK": f"{rank}", "LOCAL_RANK": f"{rank}", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost",
        "MASTER_PORT": f"{port}", "TORCHELASTIC_RUN_ID": run_id,
    }  # fmt: skip


TORCHRUN = torchrun(1)
LEADER, SECOND = Rank(0, "one group"), Rank(1, "one group")


@pytest.fixture(autouse=True)
def short_wait(monkeypatch):
    monkeypatch.setattr(ranks, "LEADER_WAIT_S", 0.3)
    monkeypatch.setattr(ranks, "LOOK_S", 0.01)


def test_torchrun_tells_rank_and_group():
    second, first = own_rank(TORCHRUN), own_rank(TORCHRUN | {"RANK": "0", "LOCAL_RANK": "0"})
    assert (first.number, second.number) == (0, 1)
    assert first.group == second.group != ""


@pytest.mark.parametrize("name", ["MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"])
def test_groups_differ_in_any_of_what_names_them(name):
    assert own_rank(TORCHRUN | {name: "7"}).group != own_rank(TORCHRUN).group


@pytest.mark.parametrize("environment", [
    {}, {"RANK": "1"}, {"MASTER_PORT": "29500"}, TORCHRUN | {"RANK": "first"},
    TORCHRUN | {"MASTER_PORT": ""},
])  # fmt: skip
def test_a_rank_without_a_group_is_a_process_on_its_own(environment):
    assert own_rank(environment) == Rank(0, "")


def test_a_rank_follows_its_leader_while_that_is_in(tmp_path):
    with leading(tmp_path / "leader", LEADER):
        assert follows(tmp_path / "leader", SECOND)
        assert not follows(tmp_path / "leader", Rank(1, "another group"))
    assert not follows(tmp_path / "leader", SECOND)


def test_a_rank_that_comes_first_waits(tmp_path):
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(follows(tmp_path / "leader", SECOND)))
    waiting.start()
    time.sleep(0.05)
    assert answers == []
    with leading(tmp_path / "leader", LEADER):
        waiting.join()
    assert answers == [True]


def test_a_process_on_its_own_removes_what_a_killed_leader_has_left(tmp_path):
    (tmp_path / "leader").write_text(LEADER.group)
    with leading(tmp_path / "leader", Rank()):
        assert not follows(tmp_path / "leader", SECOND)


def test_a_leader_that_fails_is_in_no_more(tmp_path):
    with pytest.raises(KeyboardInterrupt), leading(tmp_path / "leader", LEADER):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@contextmanager
def inside(lock, environment):
    """Hold the lock as a process with these variables does, which others may go in beside."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            for name in TORCHRUN:
                patch.delenv(name, raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            stack.enter_context(hold_together(lock, ModelError("taken")))
        yield


@pytest.mark.parametrize("first", [{}, torchrun(0)])
@pytest.mark.parametrize("second", [{}, torchrun(0, port=29501), torchrun(0, run_id="x")])
def test_a_second_process_is_refused_until_the_first_has_left(tmp_path, first, second):
    lock = tmp_path / "lock"
    with inside(lock, first), pytest.raises(ModelError, match=r"^taken$"), inside(lock, second):
        pass
    with inside(lock, second):
        pass


def test_a_rank_comes_in_with_its_leader_and_may_leave_before_it(tmp_path):
    lock = tmp_path / "lock"
    with inside(lock, torchrun(0)):
        for rank in (1, 2):
            with inside(lock, torchrun(rank)):
                pass
        with pytest.raises(ModelError, match=r"^taken$"), inside(lock, {}):
            pass


@pytest.mark.parametrize("stray", [torchrun(1, port=29501), torchrun(1, run_id="x")])
def test_a_rank_of_another_group_is_refused(tmp_path, stray):
    lock = tmp_path / "lock"
    with inside(lock, torchrun(0)), pytest.raises(ModelError, match=f"^{NOT_THERE}$"):
        inside(lock, stray).__enter__()


@pytest.mark.parametrize("holder", [{}, torchrun(0, port=29501)])
def test_a_rank_is_refused_where_another_has_come_after_its_killed_leader(tmp_path, holder):
    lock = tmp_path / "lock"
    lock.with_suffix(".leader").write_text(own_rank(TORCHRUN).group)
    with inside(lock, holder), pytest.raises(ModelError, match=f"^{NOT_THERE}$"):
        inside(lock, torchrun(1)).__enter__()


@pytest.fixture
def start(tmp_path):
    """Start processes that hold one lock; the variables of each, and how long it waits."""
    processes = []

    def start(environment, wait_s=60.0):
        others = {name: value for name, value in os.environ.items() if name not in TORCHRUN}
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, tmp_path / "lock", f"{wait_s}"], text=True,
            env={**others, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_two_processes_of_one_group_are_in_at_once_and_no_one_else(start):
    second, first = start(torchrun(1)), start(torchrun(0))  # the second waits if it comes first
    assert [process.stdout.readline() for process in (first, second)] == ["in\n", "in\n"]
    strangers = start({}), start(torchrun(1, port=29501), wait_s=0.5)
    assert [s.stdout.readline() for s in strangers] == ["taken\n", f"{NOT_THERE}\n"]
    assert [process.poll() for process in (first, second)] == [None, None]
    for process in (first, second):
        process.communicate("leave\n", timeout=60)
        assert process.returncode == 0
    assert start({}).stdout.readline() == "in\n"


def test_a_group_whose_leader_was_killed_can_begin_again(start):
    killed = start(torchrun(0))
    assert killed.stdout.readline() == "in\n"
    killed.kill()
    killed.wait()
    again = start(torchrun(1)), start(torchrun(0))
    assert [process.stdout.readline() for process in again] == ["in\n", "in\n"]
