"""Metrics against values worked out by hand, and against scikit-learn."""

import math

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_mlflow.evaluation.metrics import (
    accuracy,
    accuracy_interval,
    balanced_accuracy,
    confusion,
    genre_report,
    log_loss,
    macro_f1,
    measures,
    recalls,
    top_accuracy,
)
from genre_mlflow.evaluation.predictions import by_recording, probabilities, with_answers
from genre_mlflow.evaluation.statistics import wilson_interval

GENRES = ["blues", "jazz", "rock"]


def table(pairs: list[tuple[str, str]], given: float = 0.8) -> pd.DataFrame:
    """Predictions of (genre, predicted), each with the probability `given` for the predicted."""
    rest = np.log(max((1 - given) / (len(GENRES) - 1), 1e-30))
    rows = [
        {"track_id": f"{genre}/{i}", "split": "test", "genre": genre, "predicted": said}
        | {f"logit_{name}": np.log(given) if name == said else rest for name in GENRES}
        for i, (genre, said) in enumerate(pairs)
    ]
    return pd.DataFrame(rows)


BY_HAND = table(
    [("blues", "blues")] * 3
    + [("blues", "jazz")]
    + [("jazz", "jazz")] * 2
    + [("jazz", "rock")] * 2
    + [("rock", "rock")] * 2
)


def test_values_worked_out_by_hand():
    assert accuracy(BY_HAND) == 0.7
    assert confusion(BY_HAND).tolist() == [[3, 1, 0], [0, 2, 2], [0, 0, 2]]
    assert recalls(confusion(BY_HAND)).tolist() == [0.75, 0.5, 1.0]
    blues, jazz, rock = 6 / 7, 4 / 7, 4 / 6  # F1 = 2 right / (tracks + answers)
    assert macro_f1(BY_HAND) == pytest.approx((blues + jazz + rock) / 3)
    expected = -(7 * math.log(0.8) + 3 * math.log(0.1)) / 10
    assert log_loss(BY_HAND) == pytest.approx(expected)


def test_report_has_a_row_a_genre_and_two_of_averages():
    report = genre_report(BY_HAND).set_index("genre")
    assert list(report.columns) == ["precision", "recall", "f1", "tracks"]
    assert list(report.index) == [*GENRES, "macro avg", "weighted avg"]
    assert report.loc["blues"].tolist() == pytest.approx([1, 0.75, 6 / 7, 4])
    assert report.loc["rock"].tolist() == pytest.approx([0.5, 1, 2 / 3, 2])
    assert report.loc["macro avg", "f1"] == pytest.approx(macro_f1(BY_HAND))


pairs = st.lists(st.tuples(st.sampled_from(GENRES), st.sampled_from(GENRES)), min_size=1)


@settings(deadline=None, max_examples=30)  # the first call takes seconds on a busy machine
@given(pairs=pairs)
def test_metrics_agree_with_scikit_learn(pairs):
    predictions = table(pairs)
    right, said = predictions["genre"], predictions["predicted"]
    assert accuracy(predictions) == pytest.approx(sklearn.metrics.accuracy_score(right, said))
    f1 = sklearn.metrics.f1_score(
        right, said, labels=sorted(set(right)), average="macro", zero_division=0
    )
    assert macro_f1(predictions) == pytest.approx(f1)
    expected = sklearn.metrics.log_loss(right, probabilities(predictions), labels=GENRES)
    assert log_loss(predictions) == pytest.approx(expected)
    assert confusion(predictions).sum() == len(pairs)
    report = genre_report(predictions)
    assert report["tracks"].iloc[:3].sum() == len(pairs)
    assert report["f1"].iloc[3] == pytest.approx(f1)


def test_a_genre_without_tracks_has_no_recall_and_no_place_in_the_mean():
    predictions = table([("blues", "blues"), ("jazz", "jazz")])
    assert recalls(confusion(predictions))[:2].tolist() == [1, 1]
    assert math.isnan(recalls(confusion(predictions))[2])
    assert macro_f1(predictions) == 1
    assert genre_report(predictions)["f1"].tolist() == [1, 1, 0, 1, 1]


def test_answers_of_a_genre_without_tracks_cost_the_others():
    predictions = table([("blues", "blues"), ("blues", "rock"), ("jazz", "jazz")])
    assert macro_f1(predictions) == pytest.approx((2 / 3 + 1) / 2)


def test_certainty_that_is_wrong_costs_much_but_not_all():
    eps = np.finfo(float).eps
    assert log_loss(table([("blues", "rock")], given=1.0)) == pytest.approx(-math.log(eps))


def test_log_loss_takes_genres_in_any_order_and_without_tracks():
    predictions = table([("blues", "blues"), ("blues", "rock")])
    turned = predictions[[*predictions.columns[:4], "logit_rock", "logit_blues", "logit_jazz"]]
    expected = -(math.log(0.8) + math.log(0.1)) / 2
    assert log_loss(predictions) == pytest.approx(expected)
    assert log_loss(turned) == pytest.approx(expected)


def wilson(n_right: int, n: int) -> tuple[float, float]:
    found = wilson_interval(n_right, n)
    return found.low, found.high


def test_interval_of_a_table_is_that_of_its_counts():
    assert accuracy_interval(BY_HAND) == wilson(7, 10)
    assert np.diff(accuracy_interval(BY_HAND))[0] > 0.4  # ten tracks say little


def test_segments_of_one_recording_are_one_unit_of_the_interval():
    ids = [f"blues/{i // 3}.seg{i % 3:03d}" for i in range(9)] + ["rock/9"]
    said = ["blues", "blues", "rock"] * 3 + ["blues"]
    segments = table([(track.split("/")[0], s) for track, s in zip(ids, said, strict=True)])
    segments = segments.assign(track_id=ids, path=ids, group=ids)
    assert accuracy(segments) == 0.6
    assert accuracy(by_recording(segments)) == 0.75
    assert accuracy_interval(segments) == wilson(3, 4)
    assert accuracy_interval(by_recording(segments)) == wilson(3, 4)


def test_copies_in_one_group_are_units_of_their_own():
    assert accuracy_interval(BY_HAND.assign(group="one")) == wilson(7, 10)


@pytest.mark.parametrize(("k", "expected"), [(1, 0.7), (2, 1.0), (3, 1.0)])
def test_the_right_genre_is_among_the_first(k, expected):
    assert top_accuracy(BY_HAND, k) == expected  # the two others share the second place


def test_top_accuracy_by_hand():
    logits = np.array([[4, 3, 2, 1, 0]] * 5, np.float32)
    names = list("abcde")
    ids = [f"{name}/0" for name in names]
    rows = pd.DataFrame({"track_id": ids, "path": ids, "split": "test", "genre": names})
    predictions = with_answers(rows.assign(group=ids), logits, names)
    assert [top_accuracy(predictions, k) for k in range(1, 6)] == [0.2, 0.4, 0.6, 0.8, 1]


def test_balanced_accuracy_is_the_mean_recall():
    assert balanced_accuracy(BY_HAND) == pytest.approx((0.75 + 0.5 + 1) / 3)
    assert balanced_accuracy(table([("blues", "blues"), ("jazz", "rock")])) == 0.5


def test_measures_are_the_metrics_by_their_names():
    assert measures(BY_HAND) == {
        "accuracy": accuracy(BY_HAND),
        "balanced_accuracy": balanced_accuracy(BY_HAND),
        "macro_f1": macro_f1(BY_HAND),
        "top3_accuracy": 1,
        "loss": log_loss(BY_HAND),
    }
