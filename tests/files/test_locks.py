"""A lock lets one process in, and the next when that one is gone, however it went."""

import subprocess
import sys

import pytest
from filelock import Timeout

from genre_mlflow.errors import ModelError
from genre_mlflow.files.locks import hold_lock

TAKEN = ModelError("it is taken; come again")
HOLD = (
    "import sys, time\nfrom pathlib import Path\n"
    "from genre_mlflow.errors import ModelError\n"
    "from genre_mlflow.files.locks import hold_lock\n"
    "with hold_lock(Path(sys.argv[1]), ModelError('')):\n"
    "    print('held', flush=True)\n    time.sleep(60)"
)


def test_a_second_process_is_told_at_once_and_a_killed_one_lets_go(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ModelError, match="it is taken"), hold_lock(tmp_path / "lock", TAKEN):
            pass
        other.kill()
    with hold_lock(tmp_path / "lock", TAKEN):
        pass


def test_a_lock_is_held_once_and_free_after_the_block_even_if_that_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), hold_lock(tmp_path / "lock", TAKEN):
        with pytest.raises(ModelError, match="it is taken"), hold_lock(tmp_path / "lock", TAKEN):
            pass
        1 / 0  # noqa: B018
    with hold_lock(tmp_path / "lock", TAKEN):
        pass


def test_waiting_for_another_lock_within_the_block_is_none_of_its_business(tmp_path):
    with pytest.raises(Timeout), hold_lock(tmp_path / "lock", TAKEN):
        raise Timeout(str(tmp_path / "other"))
