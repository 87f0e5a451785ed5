"""A table of features that somebody has computed: one row of numbers a track."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genre_mlflow.errors import DataError
from genre_mlflow.files.words import counted, few

NAMES = ("track_id", "filename", "file", "path", "id")  # columns that may name a track
NEEDED = f"a table of features is a CSV with one of {', '.join(NAMES)} and columns of numbers"


@dataclass(frozen=True)
class FeatureTable:
    """Names of tracks and of columns; numbers float32 `[tracks, columns]`, all finite."""

    tracks: list[str]
    columns: list[str]
    numbers: npt.NDArray[np.float32]


def read_features(path: str | Path) -> FeatureTable:
    """Read a CSV of features; columns whose first cell is no number, such as a genre, are left out.

    Raises `DataError` for a file that cannot be read, names no tracks or one twice, has rows of
    another length or no numbers, and for a cell that holds none.
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
    twice = [name for name in dict.fromkeys(tracks) if tracks.count(name) > 1]
    if twice:
        raise DataError(f"{path} has more than one row of {few([repr(name) for name in twice])}")
    places = [
        place
        for place, cell in enumerate(rows[0])
        if header[place] not in NAMES and number(cell) is not None
    ]
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


def number(cell: str) -> float | None:
    """The number that a cell holds, if it does."""
    try:
        return float(cell)
    except ValueError:
        return None
