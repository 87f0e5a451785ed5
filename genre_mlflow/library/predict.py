"""Genres of files on disk, row by row, in this process or in several."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from genre_mlflow import signals
from genre_mlflow.corpus.folders import BadFile
from genre_mlflow.errors import DataError, SettingsError
from genre_mlflow.features.muting import muted_decoders
from genre_mlflow.library import MOST_WORKERS
from genre_mlflow.library.files import name_of
from genre_mlflow.memory import MemoryShortage
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.processes import cores
from genre_mlflow.tracking.classifiers import classifier_folder

Row = dict[str, Any]

ALONE = 200  # files that one process predicts before another has imported everything
AHEAD = 4  # files that each process may be ahead of the slowest one
THREADS = 1  # of a process: two take four times the processor time, waiting for each other
DIGITS = 6  # of a probability in a table
FEWER = "try fewer --workers; with --out TABLE.csv the same command goes on where this one was"
PROBABILITY = "p_"  # prefix of the columns with probabilities
DOUBTS = ("unsure", "foreign", "likely")  # columns that are empty where nobody knows


class Predictor:
    """A classifier in a local folder, and the rows that it gives for files.

    To another process only the folder travels; the classifier is loaded there, once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.genres, self.digest = self.classifier.genres, self.classifier.digest

    def __getstate__(self) -> dict[str, Any]:
        """What travels: all but the classifier."""
        return {name: value for name, value in vars(self).items() if name != "classifier"}

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier, loaded when it is first asked for."""
        return Classifier.load(self.folder).settle()

    @property
    def columns(self) -> list[str]:
        """Names of the columns of a row, in their order."""
        fixed = ["path", "predicted", "confidence", *DOUBTS, "segments", "model", "error"]
        return fixed + [f"{PROBABILITY}{genre}" for genre in self.genres]

    def predict_files(self, files: Sequence[Path | BadFile], workers: int = 0) -> Iterator[Row]:
        """A row a file, in their order.

        A file that cannot be read has `error` and no genre. `workers`: processes; 0 for one where
        there are few files, else as many as there are cores. Only a few files at a time are in
        memory.
        """
        check_workers(workers)
        count = workers or (cores() if len(files) >= ALONE else 1)
        return self.predict_alone(files) if count == 1 else in_processes(self, files, count)

    def predict_alone(self, files: Sequence[Path | BadFile]) -> Iterator[Row]:
        """The rows of this process."""
        for file in files:
            before = torch.get_num_threads()
            torch.set_num_threads(THREADS)
            try:
                row = self.predict_file(file)
            finally:
                torch.set_num_threads(before)
            yield row

    def predict_file(self, file: Path | BadFile) -> Row:
        """The row of one file."""
        if isinstance(file, BadFile):
            return self.failure(file, file.reason)
        if not is_text(file):
            return self.failure(file, "has a name that is not UTF-8; rename it")
        try:
            prediction = self.classifier.predict(file)
        except DataError as error:
            return self.failure(file, str(error).removeprefix(f"{file} "))
        doubts = {name: getattr(prediction, name) for name in DOUBTS}
        return self.success(file, prediction.probabilities, len(prediction.timeline), doubts)

    def success(
        self,
        file: Path,
        probabilities: Mapping[str, float],
        n_segments: int,
        doubts: Mapping[str, Any],
    ) -> Row:
        """The row of an answer, `probabilities` by genre; a doubt that nobody knows is empty."""
        known = {name: "" if value is None else value for name, value in doubts.items()}
        found = {genre: round(probabilities[genre], DIGITS) for genre in self.genres}
        predicted = max(self.genres, key=lambda genre: probabilities[genre])
        return {
            "path": str(file),
            "predicted": predicted,
            "confidence": found[predicted],
            **known,
            "likely": list(doubts["likely"] or ()) or "",
            "segments": n_segments,
            "model": self.digest,
            "error": "",
            **{f"{PROBABILITY}{genre}": p for genre, p in found.items()},
        }

    def failure(self, file: Path | BadFile, reason: str) -> Row:
        """The row of what cannot be read."""
        row: Row = dict.fromkeys(self.columns, "")
        found: Row = {"path": name_of(file), "segments": 0, "model": self.digest, "error": reason}
        return row | found


@contextmanager
def open_predictor(model: str) -> Iterator[Predictor]:
    """A predictor of a registered version, a logged model or a folder, until the block ends."""
    with classifier_folder(model) as folder:
        yield Predictor(folder)


def check_workers(workers: int) -> None:
    """Raise `SettingsError` for a number of processes that nobody means."""
    if not 0 <= workers <= MOST_WORKERS:
        raise SettingsError(f"workers is {workers}; allowed are 0 (by itself) to {MOST_WORKERS}")


def in_processes(
    predictor: Predictor, files: Sequence[Path | BadFile], count: int
) -> Iterator[Row]:
    """The rows of several processes, in the order of the files.

    Raises `DataError` if one dies, and `MemoryShortage` if the network lacks memory in one.
    """
    pool = ProcessPoolExecutor(
        count, multiprocessing.get_context("spawn"), start_worker, (predictor,)
    )
    waiting: deque[Future[Row]] = deque()
    n_done = 0
    try:
        for file in files:
            with signals.kept_back():  # from the processes that it starts
                waiting.append(pool.submit(predict_in_worker, file))
            if len(waiting) >= AHEAD * count:
                yield waiting.popleft().result()
                n_done += 1
        while waiting:
            yield waiting.popleft().result()
            n_done += 1
    except BrokenProcessPool as error:
        raise DataError(
            "a process that predicts was killed (is there too little memory?) at or behind "
            f"{name_of(files[n_done])}; {FEWER}"
        ) from error
    except MemoryShortage as error:
        raise MemoryShortage(f"{error}; {FEWER}") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Worker:
    """What a process that predicts keeps between files."""

    predictor: Predictor
    muted = ExitStack()  # until it ends


def start_worker(predictor: Predictor) -> None:
    """Make ready; a stop is the business of the process that waits for the rows."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(THREADS)
    Worker.muted.enter_context(muted_decoders())
    Worker.predictor = predictor


def end_with_parent() -> None:
    """End when the process that waits for the rows has been killed; nothing else would say so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def predict_in_worker(file: Path | BadFile) -> Row:
    """One row, in a process that `start_worker` has prepared."""
    return Worker.predictor.predict_file(file)


def is_text(path: Path) -> bool:
    """Whether a path can be written as UTF-8, as tables and MLflow need it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def to_line(row: Row, top_k: int, width: int, *, likely: bool = False) -> str:
    """A path and its most probable genres, or what is wrong with it."""
    return f"{row['path']:{width}}  {answer(row, top_k, likely)}"


def answer(row: Row, top_k: int, likely: bool) -> str:
    """The most probable genres of a row, or all likely ones if asked, and what is doubtful."""
    if row["error"]:
        return f"error: {row['error']}"
    found = {k.removeprefix(PROBABILITY): v for k, v in row.items() if k.startswith(PROBABILITY)}
    n_shown = len(row["likely"] or ()) if likely else 0
    ranked = sorted(found.items(), key=lambda item: -float(item[1]))[: n_shown or top_k]
    words = [f"{genre} {probability:.3f}" for genre, probability in ranked]
    words += [name for name in ("unsure", "foreign") if row[name] is True]
    return "  ".join(words)
