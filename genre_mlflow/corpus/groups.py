"""Groups that no file shows: tracks of one artist, and clips of one recording, from a table."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from genre_mlflow.corpus.manifest import components
from genre_mlflow.corpus.settings import ALL, KINDS, OWN_COLUMNS
from genre_mlflow.corpus.track_names import find_tracks, short_names
from genre_mlflow.errors import DataError
from genre_mlflow.files.words import counted, few

TRACK = "track_id"


def groups_from(path: Path, group_by: str = ALL) -> pd.DataFrame:
    """Read a CSV of tracks with their artists and recordings, as text.

    Columns: `track_id` and the one that `group_by` names, or `artist` and `recording`, each empty
    where it is not known; other columns of the file are left out. Raises `DataError` for a
    file that cannot be read, lacks `track_id` or what is asked for, has a row of another length, or
    names a track twice.
    """
    asked = KINDS if group_by == ALL else (group_by,)
    words = (
        f"{' or '.join(KINDS)}, or both (another column is to be named with --group-by)"
        if asked == KINDS
        else f"{group_by}, to group by it"
    )
    needed = f"a table of groups is a CSV with {TRACK} and {words}"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file, strict=True) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"the groups in {path} cannot be read ({error}); {needed}") from error
    kinds = [kind for kind in asked if kind in header]
    if TRACK not in header or not kinds or len({*header}) < len(header):
        raise DataError(f"{path} has the columns {', '.join(header) or 'none'}; {needed}")
    odd = [row[0] for row in rows if len(row) != len(header)]
    if odd:
        raise DataError(
            f"{path} has {counted(len(odd), 'row')} without the {len(header)} cells of its header, "
            f"such as that of {odd[0]!r}"
        )
    table = pd.DataFrame(rows, columns=header, dtype=str)[[TRACK, *kinds]]
    table = table.reindex(columns=[TRACK, *asked], fill_value="")
    twice = list(table[TRACK][table[TRACK].duplicated()].unique())
    if twice:
        raise DataError(f"{path} has more than one row of {few([repr(name) for name in twice])}")
    return table


def join_groups(
    manifest: pd.DataFrame, table: pd.DataFrame, on_missing: str = "error"
) -> pd.DataFrame:
    """The manifest, or a predictions table, with wider groups.

    Tracks with an artist, a recording (or what else is a column of `table`) or a `group` in common,
    directly or by way of others, get one `group`, named after its first track; a track that `table`
    does not name keeps its own, and so do all that share that. `table`: as `groups_from` gives it;
    its ids are read as those of split lists. Raises `DataError` for ids without a track, which
    `on_missing="skip"` passes over, and where two rows mean one track.
    """
    return manifest.assign(group=known_groups(manifest, table, on_missing)["group"])


def known_groups(
    manifest: pd.DataFrame, table: pd.DataFrame, on_missing: str = "error"
) -> pd.DataFrame:
    """The `track_id`, the table's columns and the wide `group` of each row; see `join_groups`."""
    found = manifest[["track_id"]].copy()
    rows = rows_by_track(manifest["track_id"], table, on_missing)
    component = components(manifest["track_id"], manifest["group"])
    for kind in kinds_of(table):
        known = dict(zip(table[TRACK], table[kind], strict=True))
        names = [known.get(rows.get(track, ""), "") for track in manifest["track_id"]]
        found[kind] = names
        component = components(own_where_empty(names), component)
    return found.assign(group=manifest.groupby(component)["track_id"].transform("min"))


def kinds_of(table: pd.DataFrame) -> list[str]:
    """The columns that join tracks, of a table of groups or of what is known by one."""
    return [column for column in table.columns if column not in OWN_COLUMNS]


def rows_by_track(
    track_ids: "pd.Series[str]", table: pd.DataFrame, on_missing: str = "error"
) -> dict[str, str]:
    """The id in the table by that of the track. Raises `DataError` as `join_groups` does."""
    names = short_names(track_ids)
    rows: dict[str, str] = {}
    missing = []
    for name in table[TRACK]:
        tracks = find_tracks(name, names)
        if not tracks:
            missing.append(name)
        for track in tracks:
            if track in rows:
                raise DataError(
                    f"the table has two rows of {track!r}: {rows[track]!r} and {name!r}"
                )
            rows[track] = name
    if missing and on_missing == "error":
        raise DataError(
            f"the table of groups names {counted(len(missing), 'track')} that the folder has not: "
            f"{few([repr(name) for name in missing])}; go on without them with --on-missing skip"
        )
    return rows


def own_where_empty(names: Sequence[str]) -> list[str]:
    """Keys that are equal where these names are, but for empty ones, which differ from all."""
    return [f"named {name}" if name else f"row {row}" for row, name in enumerate(names)]
