"""The gate's line in a version's description."""

import pytest

from genre_mlflow.jobs.decision import with_line

BEFORE = "Test accuracy **70%**.\n\nMy own words\nin two lines."


@pytest.mark.parametrize("before", ["", BEFORE, "**Bold**: 1"])
def test_the_line_stands_at_the_end_once(before):
    first = with_line(before, "refused: it is\nworse")
    assert first == f"{before}\n\n**Gate**: refused: it is worse".lstrip()
    assert with_line(first, "promoted") == f"{before}\n\n**Gate**: promoted".lstrip()


def test_what_people_write_after_it_stays():
    text = with_line("One.", "refused") + "\n\nTwo.\nThree."
    assert with_line(text, "promoted") == "One.\n\nTwo.\nThree.\n\n**Gate**: promoted"
