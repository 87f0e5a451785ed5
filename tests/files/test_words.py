"""Numbers agree with their nouns, and of many names the first are said."""

import pytest

from genre_mlflow.files.words import counted, few


@pytest.mark.parametrize(
    ("n", "words"), [(0, "0 tracks"), (1, "1 track"), (2, "2 tracks"), (12_345, "12,345 tracks")]
)
def test_a_number_agrees_with_its_noun(n, words):
    assert counted(n, "track") == words


def test_of_many_names_the_first_are_said():
    assert few(list("abcde")) == "a, b, c, d, e"
    assert few(list("abcdefg"), " = ") == "a = b = c = d = e and 2 more"
