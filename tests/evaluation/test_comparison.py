"""What one model has before another: worked out by hand, and what must hold of any two."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.comparison import compare
from genre_mlflow.evaluation.predictions import with_answers

GENRES = ["blues", "jazz", "rock"]


def table(answers: list[tuple[str, str]], groups: list[str] | None = None) -> pd.DataFrame:
    """Predictions of (genre, predicted), of test tracks `genre/number`."""
    ids = [f"{genre}/{i}" for i, (genre, _) in enumerate(answers)]
    rows = pd.DataFrame({"track_id": ids, "path": ids, "split": "test"})
    rows["genre"], rows["group"] = [genre for genre, _ in answers], groups or ids
    logits = [[float(said == name) for name in GENRES] for _, said in answers]
    return with_answers(rows, np.array(logits, np.float32), GENRES)


TRUE = ["blues", "blues", "jazz", "jazz", "rock"]
A = table(list(zip(TRUE, ["blues", "blues", "jazz", "rock", "blues"], strict=True)))
B = table(list(zip(TRUE, ["blues", "jazz", "rock", "jazz", "jazz"], strict=True)))


def test_gains_and_losses_worked_out_by_hand():
    found = compare([A], [B])
    assert (found.n, found.a, found.b) == (5, 0.6, 0.4)
    assert found.difference.mean == pytest.approx(0.2)
    assert (found.mcnemar.only_one, found.mcnemar.only_other, found.mcnemar.p) == (2, 1, 1)
    assert found.genres.values.tolist() == [
        ["blues", 2, 2, 1, 1, 0, 1],
        ["jazz", 2, 1, 1, 1, 1, 0],
        ["rock", 1, 0, 0, 0, 0, 0],
    ]
    assert list(found.genres) == [
        "genre", "tracks", "a_right", "b_right", "a_alone", "b_alone", "difference",
    ]  # fmt: skip


def test_tracks_with_two_answers_stand_from_gain_to_loss():
    tracks = compare([A], [B]).tracks
    assert tracks["track_id"].tolist() == ["blues/1", "jazz/2", "rock/4", "jazz/3"]
    assert tracks["a"].tolist() == ["blues", "jazz", "blues", "rock"]
    assert tracks["b"].tolist() == ["jazz", "rock", "jazz", "jazz"]
    assert tracks["a_right"].tolist() == [1, 1, 0, 0]


answers = st.lists(st.tuples(*[st.sampled_from(GENRES)] * 3), min_size=2, max_size=20)


@settings(deadline=None, max_examples=10)  # each draws forty thousand times
@given(answers=answers, n_groups=st.integers(2, 20))
def test_the_other_way_round_all_is_mirrored(answers, n_groups):
    groups = [f"g{i % n_groups}" for i in range(len(answers))]
    one = table([(genre, said) for genre, said, _ in answers], groups)
    other = table([(genre, said) for genre, _, said in answers], groups)
    there, back = compare([one], [other]), compare([other], [one])
    assert (there.a, there.b) == (back.b, back.a)
    assert there.difference.mean == pytest.approx(there.a - there.b)
    assert there.difference.mean == pytest.approx(-back.difference.mean)
    assert there.difference.low == pytest.approx(-back.difference.high)
    assert there.genres["a_alone"].tolist() == back.genres["b_alone"].tolist()
    assert there.genres["difference"].sum() == pytest.approx((there.a - there.b) * there.n)
    assert set(there.tracks["track_id"]) == set(back.tracks["track_id"])


def test_with_itself_nothing_differs():
    found = compare([A], [A])
    assert (found.difference.mean, found.difference.low, found.difference.high) == (0, 0, 0)
    assert not found.tells_apart
    assert found.tracks.empty


def test_who_is_always_better_is_told_apart():
    right, wrong = table([("jazz", "jazz")] * 12), table([("jazz", "rock")] * 12)
    assert compare([right], [wrong]).tells_apart
    assert compare([wrong], [right]).tells_apart


def test_tracks_of_one_group_are_drawn_together():
    truth = [("jazz", "jazz")] * 20
    apart = [f"artist {i // 5}" for i in range(20)]
    other = [("jazz", "jazz" if i < 5 else "rock") for i in range(20)]
    found = compare([table(truth, apart)], [table(other, apart)])
    assert (found.over_tracks.n, found.over_groups.n) == (20, 4)
    width = found.over_groups.high - found.over_groups.low
    assert width > 1.5 * (found.over_tracks.high - found.over_tracks.low)
    assert found.difference == found.over_groups


def test_a_group_that_one_table_knows_counts_from_either_side():
    groups = ["x", "x", "y", "y", "z"]
    aware = A.assign(group=groups)
    assert compare([aware], [B]).over_groups.n == 3
    assert compare([A], [B.assign(group=groups)]).over_groups.n == 3
    assert compare([A], [B]).over_groups.n == 5


def test_one_group_says_nothing_of_others():
    found = compare([A.assign(group="one")], [B])
    assert found.over_groups is None
    assert found.difference == found.over_tracks


def test_seeds_count_by_their_mean():
    found = compare([A, B], [B])
    assert (found.a, found.b, found.mcnemar) == (0.5, 0.4, None)
    assert found.genres["a_alone"].tolist() == [0.5, 0.5, 0]
    assert found.tracks.set_index("track_id").loc["blues/1", "a"] == "blues, jazz"


def test_rows_in_another_order_are_the_same_tracks():
    mixed = compare([A.sample(frac=1, random_state=1)], [B])
    pd.testing.assert_frame_equal(mixed.tracks, compare([A], [B]).tracks)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (B.rename(columns={"logit_rock": "logit_soul"}),
         r"same genres; these know blues, jazz, rock and blues, jazz, soul$"),
        (B.iloc[1:], "on the same tracks alone; 1 track in one table and not in .*: blues/0"),
        (B.assign(genre="rock"), "two true genres of blues/0, "),
    ],
)  # fmt: skip
def test_other_genres_or_tracks_are_refused(other, message):
    with pytest.raises(DataError, match=message):
        compare([A], [other])
    with pytest.raises(DataError):
        compare([other], [A])
