"""Tables that grow row by row: a CSV that a killed run can go on with, or a list in JSON."""

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genre_mlflow.errors import DataError
from genre_mlflow.files import atomic_write

Row = dict[str, Any]
Write = Callable[[Row], None]


@contextmanager
def open_table(path: Path | None, columns: Sequence[str]) -> Iterator[Write]:
    """A function that adds a row: to a CSV at once, to a JSON file that appears at the end."""
    if path is None:
        yield lambda row: None
    elif path.suffix.lower() == ".csv":
        with growing_csv(path, columns) as write:
            yield write
    else:
        with growing_json(path) as write:
            yield write


@contextmanager
def growing_csv(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    """Append to a CSV, which has its head and whole rows alone."""
    is_new = not path.exists() or path.stat().st_size == 0
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if is_new:
            writer.writeheader()

        def write(row: Row) -> None:
            writer.writerow(row)
            file.flush()

        yield write


@contextmanager
def growing_json(path: Path) -> Iterator[Write]:
    """One list with an object a row; empty texts of a row without an answer are null."""
    with atomic_write(path) as file:
        between = b"[\n"

        def write(row: Row) -> None:
            nonlocal between
            plain = {k: None if v == "" and k != "error" else v for k, v in row.items()}
            file.write(between + json.dumps(plain, ensure_ascii=False).encode())
            between = b",\n"

        yield write
        file.write(b"[]\n" if between == b"[\n" else b"\n]\n")


def paths_done(path: Path | None, columns: Sequence[str], model: str) -> set[str]:
    """Paths that a CSV holds already; half a row at its end, of a run that was killed, is cut off.

    Raises `DataError` for a table of other columns or of another model.
    """
    if path is None or path.suffix.lower() != ".csv" or not path.exists():
        return set()
    done: set[str] = set()
    n_rows = 0
    for row in whole_rows(path):
        n_rows += 1
        if n_rows == 1:
            if row != list(columns):
                raise DataError(
                    f"{path} is a table of other columns, from another model or program; name "
                    "another --out, or move it away"
                )
            continue
        found = dict(zip(columns, row, strict=True))
        if found["model"] != model:
            raise DataError(
                f"{path} holds answers of the model {found['model']}, this one is {model}; name "
                "another --out, or move it away"
            )
        done.add(found["path"])
    cut(path, n_rows)
    return done


def whole_rows(path: Path) -> Iterator[list[str]]:
    """The head and the rows of a CSV, but for half a row at its end."""
    with path.open(encoding="utf-8", newline="") as file:
        ends_whole = file.seek(0, os.SEEK_END) == 0 or last_byte(path) == b"\n"
        file.seek(0)
        last: list[str] | None = None
        try:
            for row in csv.reader(file, strict=True):
                if last is not None:
                    yield last
                last = row
        except (csv.Error, UnicodeDecodeError):
            ends_whole = False  # within quotes, or within a letter
            if last is not None:
                yield last
            return
        if last is not None and ends_whole:
            yield last


def last_byte(path: Path) -> bytes:
    """The last byte of a file that is not empty."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)


def cut(path: Path, n_rows: int) -> None:
    """Leave only the first rows of a CSV, if there is more in it."""
    kept = path.with_name(f".{path.name}.kept")
    with kept.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for _, row in zip(range(n_rows), whole_rows(path), strict=False):
            writer.writerow(row)
    if kept.stat().st_size < path.stat().st_size:
        os.replace(kept, path)
    else:
        kept.unlink()


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV as they were written, one after the other."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
