import numpy as np
import pandas as pd
import pytest

from genre_mlflow.evaluation.robustness import robustness_table
from genre_mlflow.features.disturbances import DISTURBANCES, GAIN, MP3, Disturbance

LOUDER, CODED = Disturbance(GAIN, 6), Disturbance(MP3, 64)


def answers(said: list[str]) -> pd.DataFrame:
    """Predictions of tracks that are blues, rock, blues, ..., each its own group."""
    names = [f"{n:02d}" for n in range(len(said))]
    truth = ["blues", "rock"] * (len(said) // 2)
    logits = {f"logit_{g}": np.float32([s == g for s in said]) for g in ("blues", "rock")}
    return pd.DataFrame(
        {"track_id": names, "path": names, "split": "test", "genre": truth, "predicted": said,
         "confidence": 0.7, "group": names, **logits}
    )  # fmt: skip


RIGHT = ["blues", "rock"] * 10


def test_what_changes_no_answer_costs_nothing() -> None:
    (row,) = robustness_table(answers(RIGHT), [(LOUDER, answers(RIGHT))]).to_dict("records")
    assert (row["change"], row["amount"], row["unit"], row["tracks"]) == ("gain", 6, "dB", 20)
    assert (row["accuracy"], row["difference"], row["same"]) == (1, 0, 1)
    assert row["difference_low"] == row["difference_high"] == 0


def test_accuracy_difference_and_equal_answers_have_intervals_around_them() -> None:
    changed = ["rock"] * 6 + RIGHT[6:]
    (row,) = robustness_table(answers(RIGHT), [(LOUDER, answers(changed))]).to_dict("records")
    assert row["accuracy"] == row["same"] == pytest.approx(0.85)
    assert row["difference"] == pytest.approx(-0.15)
    for name in ("accuracy", "difference", "same"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_wrong_answers_that_change_count_as_changed() -> None:
    before, after = answers(["rock"] * 20), answers(["blues"] * 20)
    (row,) = robustness_table(before, [(LOUDER, after)]).to_dict("records")
    assert (row["accuracy"], row["difference"], row["same"]) == (0.5, 0, 0)


def test_what_some_tracks_cannot_have_is_compared_on_the_others() -> None:
    before = answers(["rock"] * 10 + RIGHT[10:])
    some, none = answers(RIGHT).iloc[10:], answers(RIGHT).iloc[:0]
    table = robustness_table(before, [(LOUDER, some), (CODED, none)])
    assert table["tracks"].tolist() == [10, 0]
    assert table["difference"].tolist()[0] == 0
    assert np.isnan(table["accuracy"].tolist()[1])


def test_every_disturbance_of_the_table_has_a_unit() -> None:
    assert str(LOUDER) == "gain +6 dB"
    assert len({str(one) for one in DISTURBANCES}) == len(DISTURBANCES) == 19
