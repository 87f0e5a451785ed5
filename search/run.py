"""The whole way of a search: begin or join, work, end."""

import logging
import time
from collections.abc import Sequence
from math import inf

from optuna.trial import TrialState

from genre_mlflow import signals
from genre_mlflow.files.words import counted
from genre_mlflow.tracking.run import FAILED, KILLED
from genre_mlflow.training.observer import Observer
from search.best import Finished, finish
from search.processes import run_workers
from search.request import Request
from search.study import Search, open_search
from search.worker import Worker

logger = logging.getLogger(__name__)


def run(
    request: Request, observers: Sequence[Observer] = (), final: Observer | None = None
) -> Finished | None:
    """Search and train the best setting again; None when other workers still run trials.

    `observers` see the epochs of the trials in this process, `final` those of the final runs.
    Raises `GenreError` for everything that a user can mend.
    """
    deadline = time.time() + (request.timeout_s or inf)
    with signals.between_steps():
        return run_open(open_search(request), deadline, observers, final)


def run_open(
    search: Search, deadline: float, observers: Sequence[Observer], final: Observer | None
) -> Finished | None:
    """The same of a study that is open."""
    request = search.request
    try:
        logger.info("%s", describe(search))
        if request.workers > 1:
            run_workers(request, deadline)
        worker = Worker(search, deadline, observers)
        while True:
            worker.work()  # after others: their last trials, if any
            with search.storage.errors():
                found = finish(search, final)
            if found is not None or time.time() >= deadline:
                return found
    except KeyboardInterrupt:
        search.leave(KILLED)
        logger.info("Stopped. The same command goes on where this one was")
        raise
    except Exception:
        search.leave(FAILED)
        raise
    finally:
        search.storage.close()


def describe(search: Search) -> str:
    """A few lines about what begins."""
    request = search.request
    counts = search.corpus.counts()
    known = len(search.trials(TrialState.COMPLETE, TrialState.PRUNED))
    parameters = "; ".join(f"{name} {text}" for name, text in search.space.texts().items())
    lines = [
        f"Study {search.name} in {search.storage.name}, run {search.runs.parent.id}",
        f"{search.corpus.name}: {counts['train']} tracks to train on, {counts['val']} to validate",
        f"Space {search.space.name}: {parameters}",
        f"{counted(request.trials, 'trial')} by {request.sampler}, pruner {request.pruner}"
        + (f"; {known} are there already" if known else ""),
    ]
    return "\n".join(lines)
