"""What somebody says of pairs is kept with them, and what is no verdict is refused."""

from pathlib import Path

import pytest

from genre_mlflow.corpus.pairs import APART, CONFIRMED, COPY, NEAR, Pair
from genre_mlflow.corpus.verdicts import judged, of_folder, verdicts_from
from genre_mlflow.errors import DataError

A_B, A_C = frozenset("ab"), frozenset("ac")
GROUPS = {"a": "1", "b": "2", "c": "1"}  # a and c are copies


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", "none"), ("a,b\n", "a, b"), ("one,other\n", "one, other"), ("one;other;same\n", "one;")],
)
def test_a_table_with_other_columns_is_refused(tmp_path: Path, text: str, columns: str) -> None:
    (tmp_path / "judged.csv").write_text(text)
    with pytest.raises(DataError, match=rf"has the columns {columns}.*; judged pairs are a CSV"):
        verdicts_from(tmp_path / "judged.csv")


def test_a_table_without_rows_has_no_verdicts(tmp_path: Path) -> None:
    (tmp_path / "judged.csv").write_text("one,other,same,score\n")
    assert verdicts_from(tmp_path / "judged.csv") == {}


def test_blanks_are_taken_off_a_verdict_and_kept_in_a_name(tmp_path: Path) -> None:
    (tmp_path / "judged.csv").write_text("one,other,same\npop/x ,pop/y, Yes \n")
    assert verdicts_from(tmp_path / "judged.csv") == {frozenset(("pop/x ", "pop/y")): True}


def test_names_that_the_folder_has_not_are_refused_or_left_out() -> None:
    verdicts = {A_B: False, frozenset("bx"): True}
    with pytest.raises(DataError, match=r"has not: 'x'; .* --on-missing skip$"):
        of_folder(verdicts, GROUPS)
    assert of_folder(verdicts, GROUPS, "skip") == {A_B: False}


def test_a_no_to_equal_contents_is_refused() -> None:
    with pytest.raises(DataError, match=r"say no of equal contents: 'a' and 'c'; these are one"):
        of_folder({A_C: False, A_B: False}, GROUPS)
    assert of_folder({A_C: True}, GROUPS) == {A_C: True}


def test_a_verdict_goes_before_what_was_found_but_for_copies() -> None:
    pairs = [Pair("a", "b", NEAR, 0.8), Pair("a", "c", COPY)]
    found = judged(pairs, {A_B: False, A_C: True})
    assert [(pair.kind, pair.same) for pair in found] == [(COPY, "yes"), (APART, "no")]


@pytest.mark.parametrize(("said", "kind", "same"), [(True, CONFIRMED, "yes"), (False, APART, "no")])
def test_a_verdict_on_a_pair_that_is_not_found_stays(said: bool, kind: str, same: str) -> None:
    (pair,) = judged([], {A_B: said})
    assert (pair.one, pair.other, pair.kind, pair.same, pair.score) == ("a", "b", kind, same, 0)
