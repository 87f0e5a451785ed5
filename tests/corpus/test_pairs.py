"""Pairs know their sides, copies are paired once each, and tables of groups speak of them."""

import numpy as np
import pandas as pd
import pytest

from genre_mlflow.corpus.manifest import recordings
from genre_mlflow.corpus.pairs import NEAR, Pair, equal_pairs, with_known, with_sides


def manifest(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Tracks, their groups and their splits."""
    table = pd.DataFrame(list(rows), columns=["track_id", "group", "split"])
    return table.assign(genre=[track.split("/")[0] for track in table["track_id"]])


def copies(*rows: tuple[str, str, str]) -> list[Pair]:
    table = manifest(*rows)
    return with_sides(equal_pairs(table, np.array(recordings(table), object)), table)


def test_of_many_copies_each_is_a_pair_with_the_first() -> None:
    rows = [(f"pop/{name}", "one", "") for name in "cabd"]
    found = copies(*rows, ("pop/alone", "other", ""))
    assert [(p.one, p.other) for p in found] == [("pop/a", f"pop/{name}") for name in "bcd"]


def test_copies_on_two_sides_are_a_pair_where_the_first_has_no_side() -> None:
    found = copies(("pop/a", "1", ""), ("pop/b", "1", "train"), ("pop/c", "1", "test"))
    parted = [(pair.one, pair.other) for pair in found if pair.has_two_sides]
    assert parted == [("pop/b", "pop/c")]


@pytest.mark.parametrize(
    ("sides", "other", "two"),
    [
        (("test", "train"), "train", True),
        (("train", "test"), "train", True),
        (("train", "train"), "train", False),
        (("train", ""), "train", False),
        (("", ""), "train", False),
        (("", "test"), "train", True),
    ],
)
def test_a_pair_is_on_two_sides_if_any_segment_is(
    sides: tuple[str, str], other: str, two: bool
) -> None:
    segments = [(f"pop/a.seg00{n}", "1", side) for n, side in enumerate(sides)]
    table = manifest(*segments, ("pop/b", "2", other))
    (pair,) = with_sides([Pair("pop/a", "pop/b", NEAR)], table)
    assert pair.has_two_sides is two


@pytest.mark.parametrize(
    ("ours", "theirs", "known"),
    [
        (("Ann", "One"), ("Bob", "One"), "known as one recording"),
        (("", "One"), ("", "Two"), "known as two recordings"),
        (("Ann", "One"), ("Ann", "Two"), "known as two recordings by one artist"),
        (("Ann", "One"), ("Ann", ""), "known as one artist"),
        (("Ann", "One"), ("Bob", ""), ""),
        (("", ""), ("", ""), ""),
    ],
)
def test_what_a_table_of_groups_says(
    ours: tuple[str, str], theirs: tuple[str, str], known: str
) -> None:
    rows = [("a", *ours), ("b", *theirs)]
    table = pd.DataFrame(rows, columns=["track_id", "artist", "recording"])
    tracks = manifest(("pop/a", "1", ""), ("pop/b", "2", ""))
    pairs = [Pair("pop/a", "pop/b", NEAR)]
    (pair,) = with_known(pairs, tracks, table, {"pop/a": "a", "pop/b": "b"})
    assert pair.known == known
