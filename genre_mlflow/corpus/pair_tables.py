"""Pairs as tables: groups for a split, and doubtful pairs that somebody judges by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genre_mlflow.corpus.groups import TRACK
from genre_mlflow.corpus.manifest import components, recording_of, recordings
from genre_mlflow.corpus.pairs import APART, DOUBTFUL, JOINED, Pair
from genre_mlflow.corpus.verdicts import COLUMNS
from genre_mlflow.files.atomic import atomic_write

EVIDENCE = ("score", "shift", "genre", "other_genre", "known")  # beside the names and the verdict


def doubtful_file(groups: Path) -> Path:
    """Where the doubtful pairs lie, beside the table of groups."""
    return groups.with_name(f"{groups.stem}-doubtful{groups.suffix}")


def write_tables(pairs: Sequence[Pair], manifest: pd.DataFrame, groups: Path) -> tuple[int, int]:
    """Write what is joined, and beside it what is doubtful; how many rows these are.

    What has been judged stays in the table of doubtful pairs, with its verdict.
    """
    joined = table_of_groups(pairs, manifest)
    doubtful = [pair for pair in pairs if pair.same or pair.kind == DOUBTFUL]
    rows = [
        (p.one, p.other, p.same, f"{p.score:.2f}", p.shift_text, *p.genres, p.known)
        for p in doubtful
    ]
    table = pd.DataFrame(rows, columns=[*COLUMNS, *EVIDENCE])
    for content, path in ((joined, groups), (table, doubtful_file(groups))):
        with atomic_write(path) as file:
            file.write(content.to_csv(index=False, lineterminator="\n").encode())
    return len(joined), len(doubtful)


def table_of_groups(pairs: Sequence[Pair], manifest: pd.DataFrame) -> pd.DataFrame:
    """Columns `track_id` and `recording` of the tracks that a pair joins, for `train --groups`.

    A recording is named after its first track. Tracks that are alone have no row, and neither have
    segments beside the track of their recording's name: its row means them, too.
    """
    names = recordings(manifest)
    ids = set(manifest[TRACK])
    component = linked(pairs, names)
    joined = pd.Series(names, manifest.index).groupby(component).transform("nunique") > 1
    first = manifest.groupby(component)[TRACK].transform("min")
    parts = ((track, recording_of(track)) for track in manifest[TRACK])
    meant = [whole != track and whole in ids for track, whole in parts]
    table = pd.DataFrame({TRACK: manifest[TRACK], "recording": first})
    return table[joined & ~np.array(meant, bool)]


def still_joined(pairs: Sequence[Pair], manifest: pd.DataFrame) -> list[Pair]:
    """Pairs that somebody parts and that others join all the same, by way of other tracks."""
    names = recordings(manifest)
    component = dict(zip(names, linked(pairs, names), strict=True))
    return [p for p in pairs if p.kind == APART and component[p.one] == component[p.other]]


def linked(pairs: Sequence[Pair], names: Sequence[str]) -> np.ndarray:
    """Numbers, int32 `[name]`, that are equal where pairs join, directly or by way of others."""
    links = [pair for pair in pairs if pair.kind in JOINED]
    # A row of a pair for each of its recordings; what has no pair gets a key of its own.
    ones = [*names, *(name for pair in links for name in (pair.one, pair.other))]
    others = [f"track {row}" for row in range(len(names))]
    others += [f"pair {number}" for number, _ in enumerate(links) for _ in range(2)]
    return components(ones, others)[: len(names)]
