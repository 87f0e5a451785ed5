"""The folds of a cross-validation in processes side by side: each trains one after the other."""

import logging
import multiprocessing
import sys
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from genre_mlflow import signals
from genre_mlflow.corpus.manifest import digest
from genre_mlflow.errors import DataError, GenreError, ModelError, TrainingError
from genre_mlflow.files.words import counted
from genre_mlflow.jobs.crossval_settings import CrossvalSettings
from genre_mlflow.jobs.folds import answer_fold
from genre_mlflow.jobs.held_out import Bench, Fold, deal
from genre_mlflow.jobs.tracks import open_source
from genre_mlflow.options import TrainOptions
from genre_mlflow.processes import (
    LOOK_S,
    THREADS,
    environment,
    follow_parent,
    is_orphan,
    killed_by,
    start,
    stop,
)
from genre_mlflow.tracking.folds import FoldRuns
from genre_mlflow.tracking.run import KILLED, RUNNING, TrackedRun
from genre_mlflow.tracking.sessions import hold
from genre_mlflow.tracking.store import open_store, store_errors
from genre_mlflow.training.device import (
    device_of_worker,
    enough_memory,
    keep_freed_memory,
    threads_of_worker,
)
from genre_mlflow.training.observer import StopBetweenSteps
from genre_mlflow.training.precision import device_for

READY, SAID, FAILED = "ready", "said", "failed"  # what a worker tells

logger = logging.getLogger(__name__)


@dataclass
class Worker:
    """A process as the one that has started it sees it; `fold`: the place of what it trains."""

    number: int
    process: BaseProcess
    connection: Connection
    fold: int | None = None
    is_idle: bool = False
    errors: list[Exception] = field(default_factory=list)

    @classmethod
    def begin(cls, number: int, *args: Any) -> "Worker":
        """Start it."""
        ours, theirs = multiprocessing.Pipe()
        process = start(worker_main, theirs, *args)
        theirs.close()
        return cls(number, process, ours)

    def listen(self) -> None:
        """Take in what it has told since."""
        with suppress(EOFError, OSError):  # it has ended
            while self.connection.poll():
                kind, content = self.connection.recv()
                if kind == SAID:
                    logger.info("[%d] %s", self.number, content)
                elif kind == FAILED:
                    self.errors.append(content)
                else:
                    self.fold, self.is_idle = None, True

    def give(self, fold: int | None) -> None:
        """Have it train a fold, or end for None."""
        self.fold, self.is_idle = fold, False
        with suppress(OSError):  # killed in this moment, which its end will tell
            self.connection.send(fold)


def answer_by_workers(
    run: TrackedRun,
    options: TrainOptions,
    settings: CrossvalSettings,
    dealt: Sequence[Fold],
    done: Collection[tuple[int, int]],
    workers: int,
    recorded: str,
) -> None:
    """Have all folds trained that are not done, by so many processes; each logs its own.

    The fold of a process that is killed is taken over by another one. `recorded`: the digest of the
    tracks and their groups, which each process deals to folds anew. Raises what ends one of them.
    """
    todo = deque(place for place, fold in enumerate(dealt) if fold.key not in done)
    crew: list[Worker] = []
    with environment(THREADS, str(threads_of_worker(workers))):
        for number in range(1, min(workers, len(todo)) + 1):
            device = device_of_worker(options.training.device, number - 1)
            own = options.changed(device=device)
            crew.append(Worker.begin(number, own, settings, run.id, recorded))
    try:
        while todo or any(worker.fold is not None for worker in crew):
            doors = [door for w in crew for door in (w.connection, w.process.sentinel)]
            wait(doors, LOOK_S)
            signals.check()
            for worker in crew:
                worker.listen()
            for worker in [each for each in crew if not each.process.is_alive()]:
                crew.remove(worker)
                todo.extendleft(left_by(worker, run, dealt))
            if todo and not crew:
                raise TrainingError(
                    f"all {counted(workers, 'worker')} were killed, {len(todo)} of "
                    f"{counted(len(dealt), 'fold')} are left; go on with crossval --resume "
                    f"{run.id}, with fewer --workers where memory is short"
                )
            for worker in crew:
                if worker.is_idle and todo:
                    worker.give(todo.popleft())
        for worker in crew:
            worker.give(None)
        for worker in crew:
            worker.process.join()
            worker.listen()
    except BaseException:
        stop([worker.process for worker in crew])
        raise


def left_by(worker: Worker, run: TrackedRun, dealt: Sequence[Fold]) -> list[int]:
    """The fold that a process has left undone by being killed, whose run is closed here.

    Raises what has ended it otherwise.
    """
    worker.listen()
    if worker.errors:
        raise worker.errors[0]
    name = killed_by(worker.process)
    if not name:
        code = worker.process.exitcode
        raise TrainingError(f"worker {worker.number} ended with exit code {code}")
    if worker.fold is None:
        logger.info("Worker %d was killed (%s)", worker.number, name)
        return []
    logger.info(
        "Worker %d was killed (%s); its fold is left to another, which goes on after its last "
        "epoch", worker.number, name,
    )  # fmt: skip
    child = FoldRuns(run, run.dataset or ("", "")).known.get(dealt[worker.fold].key)
    if child and child.status == RUNNING:
        child.end(KILLED)
    return [worker.fold]


class Teller(logging.Handler):
    """Hands what a worker logs to the process that has started it."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the line; where nobody listens any more, this process is about to stop."""
        with suppress(OSError):
            self.connection.send((SAID, self.format(record)))


def worker_main(
    connection: Connection,
    options: TrainOptions,
    settings: CrossvalSettings,
    run_id: str,
    recorded: str,
) -> None:
    """What a worker process does."""
    try:
        with signals.listening(), store_errors():
            follow_parent()
            run, bench, dealt = prepare(options, settings, run_id, recorded)
            with signals.between_steps(), enough_memory(bench.device):
                hand_on_logs(connection)
                while (place := asked_for(connection)) is not None:
                    answer_fold(run, settings, bench, dealt[place], place + 1)
                if is_orphan():
                    close_run(run_id)
    except (GenreError, OSError) as error:
        with suppress(OSError):
            connection.send((FAILED, error))
    except KeyboardInterrupt:
        if is_orphan():
            close_run(run_id)
        sys.exit(signals.exit_code())


def prepare(
    options: TrainOptions, settings: CrossvalSettings, run_id: str, recorded: str
) -> tuple[TrackedRun, Bench, list[Fold]]:
    """The run, the tracks and the folds; nothing is open yet that a signal could leave so.

    Raises `DataError` for tracks whose digest is another: they changed while it went on.
    """
    open_store()
    keep_freed_memory()
    device = device_for(options.training)
    run = TrackedRun.find(run_id)
    corpus, dealt = deal(options, settings)
    now = digest(corpus.split.grouped)
    if now != recorded:
        raise DataError(
            f"{corpus.folder}, or its table of groups, has changed since the cross-validation "
            f"began: the digest was {recorded} and is {now}"
        )
    run.dataset = (corpus.name, corpus.digest)
    return run, Bench(corpus, open_source(corpus, options), device, StopBetweenSteps()), dealt


def hand_on_logs(connection: Connection) -> None:
    """Let the other side say what is logged from now on; what was before it has said itself."""
    ours = logging.getLogger("genre_mlflow")
    ours.setLevel(logging.INFO)
    ours.addHandler(Teller(connection))


def asked_for(connection: Connection) -> int | None:
    """The next fold, by its place; None at the end, and where the other side is gone."""
    try:
        connection.send((READY, None))
        while not connection.poll(LOOK_S):
            signals.check()
        place: int | None = connection.recv()
    except (EOFError, OSError):
        return None
    return place


def close_run(run_id: str) -> None:
    """Write that the run was killed, which nobody else can, unless somebody goes on with it."""
    with suppress(ModelError), store_errors(), hold(run_id):
        run = TrackedRun.find(run_id)
        if run.status == RUNNING:
            run.end(KILLED)
