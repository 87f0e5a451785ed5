"""Tables that grow row by row: a CSV that a killed run can go on with, or a list in JSON."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genre_mlflow.errors import DataError
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.locks import hold_lock
from genre_mlflow.files.names import hidden_name
from genre_mlflow.settings import as_text

Row = dict[str, Any]
Write = Callable[[Row], None]

HALF = 1 << 16  # bytes: what a kill leaves is less than a row, and a row is a few thousand
ELSE = "name another --out, or move it away"


@contextmanager
def open_table(path: Path | None, columns: Sequence[str]) -> Iterator[Write]:
    """A function that adds a row: to a CSV at once, to a JSON file that appears at the end."""
    if path is None:
        yield lambda row: None
    elif is_csv(path):
        with growing_csv(path, columns) as write:
            yield write
    else:
        with growing_json(path) as write:
            yield write


def is_csv(path: Path) -> bool:
    """Whether a table is one that can be gone on with."""
    return path.suffix.lower() == ".csv"


@contextmanager
def growing_csv(path: Path, columns: Sequence[str]) -> Iterator[Write]:
    """Append to a CSV, which has its head and whole rows alone."""
    with path.open("ab") as file:

        def write(row: Row) -> None:
            file.write(line([plain(row[column]) for column in columns]))
            file.flush()

        if file.tell() == 0:
            file.write(line(columns))
        yield write


def plain(value: Any) -> Any:
    """A truth value or a list as text, as other programs read it; all else as it is."""
    if isinstance(value, list):  # of genres, in whose names any letter may be
        return json.dumps(value, ensure_ascii=False)
    return as_text(value) if isinstance(value, bool) else value


def line(values: Sequence[Any]) -> bytes:
    """A row as a CSV holds it: all but numbers in quotes, whatever characters they are of."""
    text = io.StringIO()
    # Python 3.11 and 3.12 put quotes around a line feed, but not around a carriage return, which
    # each folder of a Mac with a picture of its own has in the name of a file.
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerow(values)
    return text.getvalue().encode()


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


@contextmanager
def hold(path: Path | None) -> Iterator[None]:
    """Keep other runs off a CSV. A killed process lets go."""
    if path is None or not is_csv(path):
        yield
        return
    taken = DataError(f"{path} is being written by another run; wait for its end")
    with hold_lock(lock_beside(path), taken):
        yield


def lock_beside(path: Path) -> Path:
    """The hidden file whose lock a run holds that writes a table, by whatever name."""
    path = Path(os.path.realpath(path))
    return path.with_name(hidden_name(path.name, ".lock"))


def moves_beside(path: Path) -> Path:
    """The table in which the moves of a table's files are noted."""
    return path.with_suffix(".moved.csv")


@dataclass
class Done:
    """What a table holds: how often each absolute path, and those whose last row has an error."""

    times: Counter[str] = field(default_factory=Counter)
    errors: set[str] = field(default_factory=set)

    def paths(self, moves: Mapping[str, list[str]]) -> set[str]:
        """Paths that need no row: another song may lie where one was moved away."""
        return {
            path
            for path, n in self.times.items()
            if n > len(moves.get(path, ())) or not os.path.lexists(path)
        }


def read_done(
    path: Path | None, columns: Sequence[str], model: str, genres: Collection[str]
) -> Done:
    """What a CSV holds already; half a row at its end, from a kill, is cut off.

    Raises `DataError` for a table of other columns, of another model or with another genre, and
    for one with something else than rows in it; these stay as they are.
    """
    done = Done()
    if path is None or not is_csv(path) or not path.exists():
        return done
    rows = WholeRows(path, columns)
    for row in rows:
        if row["model"] != model:
            raise DataError(
                f"{path} holds answers of the model {row['model']}, this one is {model}; {ELSE}"
            )
        if row["predicted"] and row["predicted"] not in genres:
            raise DataError(
                f"{path} has the genre {row['predicted']!r} for {row['path']}; the model knows "
                f"{', '.join(genres)}"
            )
        place = os.path.abspath(row["path"])
        done.times[place] += 1
        (done.errors.add if row["error"] else done.errors.discard)(place)
    rows.cut()
    return done


class WholeRows:
    """The rows of a CSV of ours, and where the last whole one ends.

    Raises `DataError` for a file that has another head, or something else than rows.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)
        self.n_read = self.n_whole = 0  # bytes
        self.at_end = False

    def __iter__(self) -> Iterator[dict[str, str]]:
        with self.path.open("rb") as file:
            try:
                for values in csv.reader(self.lines(file), strict=True):
                    row = self.checked(values)
                    self.n_whole = self.n_read
                    if row:
                        yield row
            except (csv.Error, UnicodeDecodeError) as error:
                if not self.at_end:  # else the file ends within quotes
                    raise self.broken(str(error)) from error
        self.check_rest()

    def lines(self, file: io.BufferedReader) -> Iterator[str]:
        """Decoded lines, without half a one at the end."""
        for data in file:
            if data.endswith(b"\n"):
                self.n_read += len(data)
                yield data.decode()
        self.at_end = True

    def checked(self, values: list[str]) -> dict[str, str] | None:
        """Values by column; None for the head."""
        if self.n_whole == 0:
            if values != self.columns:
                raise self.stranger()
            return None
        if len(values) != len(self.columns):
            raise self.broken(f"{len(values)} values where {len(self.columns)} are needed")
        return dict(zip(self.columns, values, strict=True))

    def check_rest(self) -> None:
        """Refuse what follows the whole rows unless a kill may have left it."""
        n_rest = self.path.stat().st_size - self.n_whole
        if n_rest > HALF:
            raise self.broken(f"the last {n_rest:,} bytes are no whole row")
        if self.n_whole == 0 and not line(self.columns).startswith(self.path.read_bytes()):
            raise self.stranger()

    def broken(self, reason: str) -> DataError:
        """The error about something else than rows."""
        if self.n_whole == 0:
            return self.stranger()
        return DataError(
            f"{self.path} cannot be read from byte {self.n_whole:,} on ({reason}); mend it, or "
            f"{ELSE}"
        )

    def stranger(self) -> DataError:
        """The error about a table that is not the one to go on with."""
        return DataError(
            f"{self.path} is a table of other columns, from another model, version or program; "
            f"{ELSE}"
        )

    def cut(self) -> None:
        """Take off what follows the whole rows, once they have been read."""
        if self.path.stat().st_size > self.n_whole:
            os.truncate(self.path, self.n_whole)


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV as they were written, one after the other."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
