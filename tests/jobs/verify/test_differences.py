"""What differs is told with both values, and what processors round is not."""

import numpy as np
import pandas as pd
import pytest

from genre_mlflow.evaluation.predictions import with_answers
from genre_mlflow.jobs.verify.differences import (
    FIGURE_TOLERANCE,
    Difference,
    answers,
    figures,
    lines,
    words,
)

NAN = float("nan")


def table(*logits: tuple[float, float], genre: str = "jazz") -> pd.DataFrame:
    names = [f"t{i}" for i in range(len(logits))]
    rows = pd.DataFrame({"track_id": names, "path": names, "split": "test", "genre": genre})
    return with_answers(rows.assign(group=names), np.array(logits, np.float32), ["jazz", "rock"])


@pytest.mark.parametrize(
    ("recorded", "now", "same"),
    [
        (0.5, 0.5, True),
        (0.5, 0.5 + 0.9 * FIGURE_TOLERANCE, True),
        (0.5, 0.5 + 1.1 * FIGURE_TOLERANCE, False),
        (NAN, NAN, True),
        (NAN, 0.5, False),
        (0.5, NAN, False),
    ],
)
def test_figures_agree_within_a_tenth_of_what_is_printed(recorded, now, same):
    found = figures({"a": recorded, "other": 1.0}, {"a": now})
    assert [one.what for one in found] == ([] if same else ["a"])


def test_a_figure_that_was_not_recorded_differs():
    assert figures({}, {"a": 0.25}) == [Difference("a", "", "0.25")]


def test_answers_agree_within_float_noise():
    one = table((1, 0), (0, 2))
    assert answers(one, table((1, 1e-5), (0, 2))) == []
    (found,) = answers(one, table((1, 1e-3), (0, 2)))
    assert found.what == "answer for t0"
    assert found.recorded == "jazz 0.7311 (test, jazz, group t0)"
    assert found.now == "jazz 0.7309 (test, jazz, group t0)"


def test_another_truth_differs_where_the_answer_is_the_same():
    (found,) = answers(table((1, 0)), table((1, 0), genre="rock"))
    assert "(test, jazz," in found.recorded and "(test, rock," in found.now


def test_tracks_of_one_table_alone_differ():
    short, long = table((1, 0)), table((1, 0), (1, 0))
    assert [(one.what, bool(one.recorded)) for one in answers(long, short)] == [
        ("answer for t1", True)
    ]
    assert [(one.what, bool(one.now)) for one in answers(short, long)] == [("answer for t1", True)]


def test_other_genres_are_one_difference():
    other = table((1, 0)).rename(columns={"logit_rock": "logit_pop"})
    assert answers(table((1, 0)), other) == [Difference("genres", "jazz, rock", "jazz, pop")]


def test_lines_are_told_as_pairs_with_their_numbers():
    assert lines("f", ["a", "b", "c"], ["a", "x", "c", "d"]) == [
        Difference("f, line 2", "b", "x"), Difference("f, line 4", "", "d"),
    ]  # fmt: skip
    assert words("f", ["a", "b", "c"], ["a", "x", "y", "c"]) == [Difference("f", "b", "x y")]
