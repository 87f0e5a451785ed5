"""Processes that were started together end as the first that failed; a killed one is told."""

import os
import subprocess
import sys

import pytest

ONE_OF_THEM = """
import os, signal, sys, time
if os.environ["RANK"] == "1":
    if sys.argv[1] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(int(sys.argv[1]))
time.sleep(60 if sys.argv[1] != "0" else 0)
"""
LAUNCH = """
import sys
from genre_mlflow.errors import RankError
from genre_mlflow.training.launching import launch

try:
    sys.exit(launch(2, "one_of_them", sys.argv[1:]))
except RankError as error:
    print(error)
"""
KILLED = "rank 1 was killed by SIGKILL; the others have ended\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "code", "said"), [("0", 0, ""), ("2", 2, ""), ("killed", 0, KILLED)]
)
def test_a_group_ends_as_the_first_that_failed(tmp_path, end, code, said):
    (tmp_path / "one_of_them.py").write_text(ONE_OF_THEM)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH, end], env={**os.environ, "PYTHONPATH": path}, text=True,
        capture_output=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (code, said, "")
