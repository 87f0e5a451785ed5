"""Tracks of one manifest are found in another by what is in them, and by nothing else."""

import pandas as pd
import pytest

from genre_mlflow.corpus.leaks import splits_in

Row = tuple[str, str, str, str]  # track, group, SHA-256 of the file, split
KNOWN: list[Row] = [
    ("a", "a", "sha of a", "train"),
    ("b", "b", "sha of b", "val"),
    ("c", "c", "sha of c", "test"),
    ("d1", "d1", "sha of d1", "train"),
    ("d2", "d1", "sha of d2", "train"),  # a copy of d1, or another segment
    ("e1", "e1", "sha of e1", "val"),  # as --allow-leak lets copies be
    ("e2", "e1", "sha of e2", "train"),
]
CONTENTS = {"sha of a": "pixels of a", "other sha of a": "pixels of a", "sha of x": "pixels of x"}


def manifest(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["track_id", "group", "sha256", "split"])


@pytest.mark.parametrize(
    ("sha256", "split"),
    [
        ("sha of a", "train"), ("sha of b", "val"), ("sha of c", "test"),
        ("other sha of a", "train"), ("other sha of b", ""), ("sha of x", ""),
        ("sha of d2", "train"), ("sha of e1", "train"),
    ],
)  # fmt: skip
def test_a_track_is_known_by_bytes_content_or_group(sha256, split):
    here = manifest([("somewhere/else", "somewhere/else", sha256, "")])
    assert list(splits_in(manifest(KNOWN), here, CONTENTS)) == [split]


def test_names_of_tracks_and_groups_do_not_count():
    here = manifest([("a", "a", "sha of x", "test"), ("d2", "d1", "sha of y", "test")])
    assert list(splits_in(manifest(KNOWN), here, CONTENTS)) == ["", ""]


def test_a_copy_of_a_known_track_is_known():
    rows = [("p", "p", "sha of b", ""), ("q", "p", "sha of q", ""), ("r", "r", "sha of r", "")]
    assert list(splits_in(manifest(KNOWN), manifest(rows), {})) == ["val", "val", ""]


def test_the_answers_belong_to_the_rows():
    here = manifest([("p", "p", "sha of b", ""), ("q", "q", "sha of a", "")]).iloc[::-1]
    assert splits_in(manifest(KNOWN), here, {}).to_dict() == {0: "val", 1: "train"}
