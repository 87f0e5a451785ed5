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
from threading import Thread

from genre_mlflow import signals
from genre_mlflow.cli.base import USER_MISTAKE, quiet_mlflow, speaking
from genre_mlflow.errors import GenreError
from genre_mlflow.tracking.run import KILLED
from genre_mlflow.training.device import describe_device, device_of_worker, threads_of_worker
from search.request import Request
from search.study import open_search
from search.worker import Worker

THREADS = "OMP_NUM_THREADS"
LOOK_S = 0.2  # between two looks whether a signal has come

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
            with signals.kept_back():
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


def worker_main(request: Request, number: int, deadline: float) -> None:
    """What a worker process does."""
    quiet_mlflow()

    def say(line: str) -> None:
        print(f"[{number}] {line}", flush=True)

    try:
        with signals.listening(), signals.between_steps(), speaking(say):
            Thread(target=stop_with_parent, daemon=True).start()
            work(request, deadline)
    except GenreError as error:
        print(f"[{number}] Error: {error}", file=sys.stderr, flush=True)
        sys.exit(USER_MISTAKE)
    except KeyboardInterrupt:
        sys.exit(signals.exit_code())


def work(request: Request, deadline: float) -> None:
    """Run trials; the parent run is closed here only where the main process is gone."""
    search = open_search(request)
    logger.info("at work on %s", describe_device(search.device))
    try:
        Worker(search, deadline).work()
    except KeyboardInterrupt:
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            search.leave(KILLED)
        raise
    finally:
        search.storage.close()


def stop_with_parent() -> None:
    """Ask this process to stop once the one that has started it is gone, which none else would."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        logger.info("The process that has started this one is gone; stopping")
        os.kill(os.getpid(), signal.SIGTERM)
