"""The gate's line in a version's description."""

import pytest

from genre_mlflow.jobs.decision import LONGEST, with_line

BEFORE = "Test accuracy **70%**.\n\nMy own words\nin two lines."


@pytest.mark.parametrize("before", ["", BEFORE, "**Bold**: 1"])
def test_the_line_stands_at_the_end_once(before):
    first = with_line(before, "refused: it is\nworse")
    assert first == f"{before}\n\n**Gate**: refused: it is worse".lstrip()
    assert with_line(first, "promoted") == f"{before}\n\n**Gate**: promoted".lstrip()


def test_what_people_write_after_it_stays():
    text = with_line("One.", "refused") + "\n\nTwo.\nThree."
    assert with_line(text, "promoted") == "One.\n\nTwo.\nThree.\n\n**Gate**: promoted"


@pytest.mark.parametrize(("n_letters", "kept"), [(4700, 300), (4898, 102), (4899, 0), (5000, 0)])
def test_a_line_that_is_too_long_is_cut_and_never_an_earlier_one_s(n_letters, kept):
    people = "x" * n_letters
    text = with_line(f"{people}\n\n**Gate**: promoted", f"refused: {'y' * 400}")
    assert len(text) <= LONGEST
    assert "promoted" not in text
    assert text.startswith(people)
    assert ("**Gate**: refused: yy" in text, text.endswith("y ...")) == (kept > 0, kept > 0)
