"""Tables of pairs are read as they were written, and keep all that has been judged."""

from pathlib import Path

import pandas as pd

from genre_mlflow.corpus.groups import groups_from, join_groups
from genre_mlflow.corpus.pair_tables import doubtful_file, still_joined, write_tables
from genre_mlflow.corpus.pairs import APART, DOUBTFUL, NEAR, Pair
from genre_mlflow.corpus.verdicts import judged, verdicts_from


def manifest(groups: dict[str, str]) -> pd.DataFrame:
    """Tracks and their groups, without a split."""
    rows = {"track_id": list(groups), "group": list(groups.values()), "split": ""}
    return pd.DataFrame(rows)


ALONE = manifest({f"pop/{name}": name for name in ("a", "b", "c", "d ")})


def test_all_verdicts_are_written_back(tmp_path: Path) -> None:
    names = [frozenset((f"pop/{one}", f"pop/{other}")) for one, other in ("ab", "bc", ("a", "d "))]
    verdicts = dict(zip(names, (True, False, False), strict=True))
    pairs = judged([Pair("pop/a", "pop/b", DOUBTFUL, 0.4)], verdicts)
    assert write_tables(pairs, ALONE, tmp_path / "groups.csv") == (2, 3)
    assert verdicts_from(doubtful_file(tmp_path / "groups.csv")) == verdicts


def test_a_pair_that_is_judged_apart_may_be_joined_by_a_third_track() -> None:
    near = [Pair("pop/a", "pop/c", NEAR), Pair("pop/b", "pop/c", NEAR)]
    apart = [Pair("pop/a", "pop/b", APART), Pair("pop/a", "pop/d ", APART)]
    assert still_joined([*near, *apart], ALONE) == apart[:1]
    assert still_joined([*near[:1], *apart], ALONE) == []


def test_a_recording_beside_its_own_segments_is_a_table_that_training_reads(tmp_path: Path) -> None:
    tracks = manifest({"pop/song": "1", "pop/song.seg000": "1", "rock/other": "2", "rock/x": "3"})
    write_tables([Pair("pop/song", "rock/other", NEAR)], tracks, tmp_path / "groups.csv")
    table = groups_from(tmp_path / "groups.csv")
    assert list(table["track_id"]) == ["pop/song", "rock/other"]
    assert list(join_groups(tracks, table)["group"]) == [*["pop/song"] * 3, "rock/x"]


def test_segments_without_their_whole_recording_have_a_row_each(tmp_path: Path) -> None:
    tracks = manifest({"pop/song.seg000": "1", "pop/song.seg001": "1", "rock/other": "2"})
    write_tables([Pair("pop/song", "rock/other", NEAR)], tracks, tmp_path / "groups.csv")
    table = groups_from(tmp_path / "groups.csv")
    assert len(table) == 3
    assert join_groups(tracks, table)["group"].nunique() == 1
