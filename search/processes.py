"""Worker processes on one machine: each with its share of the cores, or a GPU of its own."""

import logging
import sys
from dataclasses import replace

from genre_mlflow import signals
from genre_mlflow.cli.base import USER_MISTAKE, quiet_mlflow, speaking
from genre_mlflow.errors import GenreError
from genre_mlflow.processes import (
    THREADS,
    ending,
    environment,
    follow_parent,
    is_orphan,
    killed_by,
    start,
    stop,
)
from genre_mlflow.tracking.run import KILLED
from genre_mlflow.training.device import describe_device, device_of_worker, threads_of_worker
from search.request import Request
from search.study import open_search
from search.worker import Worker

logger = logging.getLogger(__name__)


def run_workers(request: Request, deadline: float) -> None:
    """Run `request.workers` processes until all have ended. Raises `KeyboardInterrupt`.

    What a process says on its own end is enough for mistakes; one that was killed is named here.
    """
    workers = []
    with environment(THREADS, str(threads_of_worker(request.workers))):
        for number in range(request.workers):
            own = replace(
                request,
                options=request.options.changed(
                    device=device_of_worker(request.options.training.device, number)
                ),
            )
            workers.append(start(worker_main, own, number + 1, deadline))
    try:
        for number, ended in ending(workers):
            if (ended.exitcode or 0) < 0:
                logger.info(
                    "Worker %d was killed (%s); a trial of its own is repeated when it has given "
                    "no sign of life for %d s", number, killed_by(ended), request.grace_s
                )  # fmt: skip
    except KeyboardInterrupt:
        stop(workers)
        raise


def worker_main(request: Request, number: int, deadline: float) -> None:
    """What a worker process does."""
    quiet_mlflow()

    def say(line: str) -> None:
        print(f"[{number}] {line}", flush=True)

    try:
        with signals.listening(), signals.between_steps(), speaking(say):
            follow_parent()
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
        if is_orphan():
            search.leave(KILLED)
        raise
    finally:
        search.storage.close()
