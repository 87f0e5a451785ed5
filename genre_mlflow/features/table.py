"""A table of features that somebody has computed: one row of numbers a track."""

import csv
import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genre_mlflow.errors import DataError
from genre_mlflow.files.words import counted, few

NAMES = ("track_id", "filename", "file", "id")  # columns that may name a track
# Columns that say the answer, also where genres are numbers, and the row numbers of pandas.
ANSWERS = {"genre", "label", "class", "target", "genre_id", "label_id", "split", "fold", "index"}
NEEDED = f"a table of features is a CSV with one of {', '.join(NAMES)} and columns of numbers"


@dataclass(frozen=True)
class FeatureTable:
    """Names of tracks and of columns; numbers float32 `[tracks, columns]`, all finite."""

    tracks: list[str]
    columns: list[str]
    numbers: npt.NDArray[np.float32]


def read_features(path: str | Path) -> FeatureTable:
    """Read a CSV of features; columns whose first cell is no number are left out.

    So are those that are named like an answer, such as `label`, or not at all. Raises `DataError`
    for a file that cannot be read, names no tracks or one twice, has rows of another length or no
    numbers, and for a cell that holds none.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file, strict=True) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"the features in {path} cannot be read ({error}); {NEEDED}") from error
    names = [name for name in NAMES if name in header]
    if not names or not rows:
        what = f"{counted(len(rows), 'row')} and the columns {few(header) or 'none'}"
        raise DataError(f"{path} has {what}; {NEEDED}")
    odd = [row[0] for row in rows if len(row) != len(header)]
    if odd:
        raise DataError(f"{path} has rows without {len(header)} cells, such as that of {odd[0]!r}")
    tracks = [row[header.index(names[0])] for row in rows]
    twice = [name for name, count in Counter(tracks).items() if count > 1]
    if twice:
        raise DataError(f"{path} has more than one row of {few([repr(name) for name in twice])}")
    first = [number(cell) for cell in rows[0]]
    places = [i for i, name in enumerate(header) if is_feature(name) and first[i] is not None]
    if not places:
        raise DataError(f"{path} has no numbers; {NEEDED}")
    numbers = np.array([[number(row[place]) for place in places] for row in rows], np.float32)
    columns = [header[place] for place in places]
    lacking = np.argwhere(~np.isfinite(numbers))
    if len(lacking):
        row, column = lacking[0]
        raise DataError(
            f"{path} has no finite number for {tracks[row]!r} in {columns[column]} "
            f"({counted(len(lacking), 'such cell')} in all)"
        )
    return FeatureTable(tracks, columns, numbers)


def is_feature(column: str) -> bool:
    """Whether a column is one, by its name."""
    name = column.strip().lower()
    return bool(name) and not name.startswith("unnamed") and name not in {*NAMES} | ANSWERS


def table_digest(path: str | Path) -> str:
    """32 hexadecimal characters that name what a file holds. Raises `DataError`."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:32]
    except OSError as error:
        raise DataError(f"the features in {path} cannot be read ({error}); {NEEDED}") from error


def number(cell: str) -> float | None:
    """The number that a cell holds, if it does."""
    try:
        return float(cell)
    except ValueError:
        return None
