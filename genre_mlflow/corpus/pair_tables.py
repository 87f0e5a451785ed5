"""Pairs as tables: groups for a split, and doubtful pairs that somebody judges by hand."""

import csv
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

import pandas as pd

from genre_mlflow.corpus.groups import TRACK
from genre_mlflow.corpus.manifest import components, recordings
from genre_mlflow.corpus.pairs import APART, CONFIRMED, DOUBTFUL, JOINED, Pair
from genre_mlflow.errors import DataError
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.words import few

COLUMNS = ("one", "other", "same")  # that a table of judged pairs needs
EVIDENCE = ("score", "shift", "genre", "other_genre", "known")  # which it may have, too
VERDICTS = {"yes": True, "no": False}
Verdicts = dict[frozenset[str], bool]


def doubtful_file(groups: Path) -> Path:
    """Where the doubtful pairs lie, beside the table of groups."""
    return groups.with_name(f"{groups.stem}-doubtful{groups.suffix}")


def write_tables(pairs: Sequence[Pair], manifest: pd.DataFrame, groups: Path) -> tuple[int, int]:
    """Write what is joined, and beside it what is doubtful; how many tracks and pairs these are.

    What has been judged stays in the table of doubtful pairs, with its verdict.
    """
    joined = table_of_groups(pairs, manifest)
    doubtful = [pair for pair in pairs if pair.kind in (DOUBTFUL, CONFIRMED, APART)]
    said = {CONFIRMED: "yes", APART: "no", DOUBTFUL: ""}
    rows = [
        (p.one, p.other, said[p.kind], f"{p.score:.2f}", p.shift_text, *p.genres, p.known)
        for p in doubtful
    ]
    table = pd.DataFrame(rows, columns=[*COLUMNS, *EVIDENCE])
    for content, path in ((joined, groups), (table, doubtful_file(groups))):
        with atomic_write(path) as file:
            file.write(content.to_csv(index=False, lineterminator="\n").encode())
    return len(joined), len(doubtful)


def table_of_groups(pairs: Sequence[Pair], manifest: pd.DataFrame) -> pd.DataFrame:
    """Columns `track_id` and `recording` of the tracks that a pair joins, for `train --groups`.

    A recording is named after its first track. Tracks that are alone have no row.
    """
    names = recordings(manifest)
    links = [pair for pair in pairs if pair.kind in JOINED]
    # A row of a pair for each of its recordings; what has no pair gets a key of its own.
    ones = [*names, *(name for pair in links for name in (pair.one, pair.other))]
    others = [*(f"track {row}" for row in range(len(names)))]
    others += [f"pair {number}" for number, _ in enumerate(links) for _ in range(2)]
    component = components(ones, others)[: len(names)]
    joined = pd.Series(names, manifest.index).groupby(component).transform("nunique") > 1
    first = manifest.groupby(component)["track_id"].transform("min")
    return pd.DataFrame({TRACK: manifest["track_id"], "recording": first})[joined]


def verdicts_from(path: Path) -> Verdicts:
    """What somebody has said of pairs: whether they are one recording, by both names.

    A CSV with the columns `one`, `other` and `same`: yes, no, or empty where it is not known, and
    such rows are left out. Raises `DataError` for any other.
    """
    needed = f"judged pairs are a CSV with {', '.join(COLUMNS)} (yes, no or empty)"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"the pairs in {path} cannot be read ({error}); {needed}") from error
    found: Verdicts = {}
    for line, row in enumerate(rows, 2):
        one, other, same = ((row.get(name) or "").strip() for name in COLUMNS)
        said = same.lower()
        if not one or not other or one == other or (said and said not in VERDICTS):
            raise DataError(f"{path} has {one!r}, {other!r}, {same!r} in row {line}; {needed}")
        names = frozenset((one, other))
        if said and found.setdefault(names, VERDICTS[said]) != VERDICTS[said]:
            raise DataError(f"{path} has yes and no for {one!r} and {other!r}")
    return found


def check_names(verdicts: Mapping[frozenset[str], bool], names: Container[str]) -> None:
    """Refuse names of no recording of the folder. Raises `DataError`."""
    missing = sorted({name for pair in verdicts for name in pair if name not in names})
    if missing:
        raise DataError(
            "the judged pairs name what the folder has not: "
            f"{few([repr(name) for name in missing])}; write ids as `corpus check` prints them"
        )
