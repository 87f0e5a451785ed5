"""Waiting for worker processes."""

import multiprocessing
import time

from search.processes import ending


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
