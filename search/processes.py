"""Worker processes on one machine: each with its share of the cores, or a GPU of its own."""

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from genre_mlflow.cli.base import INTERRUPTED, USER_MISTAKE, quiet_mlflow, speaking
from genre_mlflow.errors import GenreError
from genre_mlflow.training.device import describe_device, device_of_worker, threads_of_worker
from search.request import Request
from search.study import open_search
from search.worker import Worker

THREADS = "OMP_NUM_THREADS"

logger = logging.getLogger(__name__)


def run_workers(request: Request, deadline: float) -> None:
    """Run `request.workers` processes until all have ended. Raises `KeyboardInterrupt`.

    What a process says on its own end is enough for mistakes; one that was killed is named here.
    """
    spawn = multiprocessing.get_context("spawn")
    workers = []
    with environment(THREADS, str(threads_of_worker(request.workers))):
        for number in range(request.workers):
            own = replace(
                request,
                options=request.options.changed(
                    device=device_of_worker(request.options.training.device, number)
                ),
            )
            worker = spawn.Process(target=worker_main, args=(own, number + 1, deadline))
            worker.start()
            workers.append(worker)
    try:
        for number, ended in ending(workers):
            if (ended.exitcode or 0) < 0:
                name = signal.Signals(-(ended.exitcode or 0)).name
                logger.info(
                    "Worker %d was killed (%s); a trial of its own is repeated when it has given "
                    "no sign of life for %d s", number, name, request.grace_s
                )  # fmt: skip
    except KeyboardInterrupt:
        stop(workers)
        raise


def ending(workers: Sequence[BaseProcess]) -> Iterator[tuple[int, BaseProcess]]:
    """Workers and their numbers, from 1 on, each as it ends."""
    left = dict(enumerate(workers, 1))
    while left:
        ended = wait([worker.sentinel for worker in left.values()])
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


def interrupt_once(number: int, frame: object) -> None:
    """End on the first signal; Ctrl-C reaches every process of a terminal, and ours sends more."""
    for other in (signal.SIGTERM, signal.SIGINT):
        signal.signal(other, do_nothing)
    raise KeyboardInterrupt


def do_nothing(number: int, frame: object) -> None:
    """Not `SIG_IGN`, with which Python complains of a signal that has come already."""


def worker_main(request: Request, number: int, deadline: float) -> None:
    """What a worker process does."""
    for number_of_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number_of_signal, interrupt_once)
    quiet_mlflow()

    def say(line: str) -> None:
        print(f"[{number}] {line}", flush=True)

    try:
        with speaking(say):
            search = open_search(request)
            logger.info("at work on %s", describe_device(search.device))
            Worker(search, deadline).work()
            search.storage.close()
    except GenreError as error:
        print(f"[{number}] Error: {error}", file=sys.stderr, flush=True)
        sys.exit(USER_MISTAKE)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
