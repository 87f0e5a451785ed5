"""Waiting for worker processes."""

import multiprocessing
import signal
import sys
import time

from genre_mlflow.processes import ending, killed_by, start


def test_workers_are_named_as_they_end_whatever_their_order() -> None:
    spawn = multiprocessing.get_context("spawn")
    first, second = (spawn.Process(target=time.sleep, args=(600,)) for _ in range(2))
    first.start()
    second.start()
    workers = ending([first, second])
    second.kill()
    assert next(workers) == (2, second)
    first.kill()
    assert list(workers) == [(1, first)]
    assert [killed_by(worker) for worker in (first, second)] == ["SIGKILL", "SIGKILL"]


def test_what_ends_by_itself_was_not_killed() -> None:
    worker = start(sys.exit, 2)
    worker.join()
    assert killed_by(worker) == ""
    worker = start(sys.exit, 128 + signal.SIGTERM)  # as a shell says it
    worker.join()
    assert killed_by(worker) == "SIGTERM"
    worker = start(sys.exit, 255)  # as a program says that it has failed
    worker.join()
    assert killed_by(worker) == ""
