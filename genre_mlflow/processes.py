"""Processes that work side by side for one command: started anew, stopped and outlived together."""

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any

from genre_mlflow import signals

THREADS = "OMP_NUM_THREADS"
LOOK_S = 0.2  # between two looks whether a signal has come

logger = logging.getLogger(__name__)


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not everywhere
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def start(target: Callable[..., None], *args: Any) -> BaseProcess:
    """Start a process with an interpreter of its own, which keeps signals back until it listens."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=args)
    with signals.kept_back():
        process.start()
    return process


def ending(workers: Sequence[BaseProcess]) -> Iterator[tuple[int, BaseProcess]]:
    """Workers and their numbers, from 1 on, each as it ends."""
    left = dict(enumerate(workers, 1))
    while left:
        ended = wait([worker.sentinel for worker in left.values()], LOOK_S)
        signals.check()
        for number in [n for n, worker in left.items() if worker.sentinel in ended]:
            left[number].join()
            yield number, left.pop(number)


def stop(workers: Sequence[BaseProcess]) -> None:
    """Ask workers to end, as Ctrl-C does, and wait until they have."""
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """Set a variable for the processes started in the block, unless the user has set it."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def killed_by(worker: BaseProcess) -> str:
    """The signal that ended a process, by its name; empty for one that ended by itself."""
    code = worker.exitcode or 0
    number = -code if code < 0 else code - signals.FIRST_EXIT_CODE
    return {one.value: one.name for one in signal.Signals}.get(number, "")


def is_orphan() -> bool:
    """Whether the process that has started this one is gone."""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


def follow_parent() -> None:
    """Ask this process to stop once the one that has started it is gone, which none else would."""
    Thread(target=stop_with_parent, daemon=True).start()


def stop_with_parent() -> None:
    """Wait for that, and ask."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        logger.info("The process that has started this one is gone; stopping")
        os.kill(os.getpid(), signal.SIGTERM)
