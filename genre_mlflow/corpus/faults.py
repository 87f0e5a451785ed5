"""Files that are no usable tracks, as many as a reader takes in."""

import re
from collections.abc import Sequence

from genre_mlflow.corpus.folders import BadFile
from genre_mlflow.errors import DataError
from genre_mlflow.files.names import printable
from genre_mlflow.files.words import counted

SHOWN = 10  # files by name
NUMBER = re.compile(r"(?<!\w)\d+([.,]\d+)*")  # in these reasons of one kind differ; not MP3


class BadFilesError(DataError):
    """A folder cannot be used for what is wrong with files in it; all of them are in `files`."""

    def __init__(self, message: str, files: Sequence[BadFile]) -> None:
        super().__init__(message)
        self.files = list(files)


def bad_lines(bad: Sequence[BadFile]) -> list[str]:
    """A line for each file; of many, the reasons with their numbers and the first of the files."""
    if len(bad) <= SHOWN:
        return [f"{printable(file.path)}: {file.reason}" for file in bad]
    groups: dict[str, list[BadFile]] = {}
    for file in bad:
        groups.setdefault(NUMBER.sub("N", file.reason), []).append(file)
    largest = sorted(groups.items(), key=lambda group: -len(group[1]))[:SHOWN]
    each = SHOWN // len(largest)
    lines = []
    for kind, files in largest:
        reason = files[0].reason if len({file.reason for file in files}) == 1 else kind
        lines.append(f"{counted(len(files), 'file')}: {reason}")
        lines += [f"  {printable(file.path)}" for file in files[:each]]
    n_shown = sum(len(files[:each]) for _, files in largest)
    return [*lines, f"... and {len(bad) - n_shown:,} more"]
