"""The pooled table of a cross-validation: whose rows count, and what its intervals speak of."""

import numpy as np
import pandas as pd
import pytest

from genre_mlflow.errors import DataError
from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.metrics import measures
from genre_mlflow.evaluation.pooled import (
    calibration_figures,
    fold_table,
    group_intervals,
    pool,
    pooled_figures,
    recordings_of,
)
from genre_mlflow.evaluation.predictions import with_answers

GENRES = ["blues", "jazz", "rock"]


def table(n: int, seed: int, groups: int = 10, first: int = 0) -> pd.DataFrame:
    """Predictions of n tracks, better than chance."""
    rng = np.random.default_rng(seed)
    ids = [f"{GENRES[i % 3]}/{i:03d}" for i in range(first, first + n)]
    rows = pd.DataFrame({"track_id": ids, "path": "", "split": ""})
    rows["genre"] = [track.partition("/")[0] for track in ids]
    rows["group"] = [f"g{i % groups}" for i in range(first, first + n)]
    truth = np.array([[genre == own for genre in GENRES] for own in rows["genre"]])
    return with_answers(rows, (rng.normal(size=truth.shape) + truth).astype(np.float32), GENRES)


def pooled_of(repeats: int = 1, folds: int = 3, n: int = 30) -> pd.DataFrame:
    tables = {
        (repeat, fold): table(n, 10 * repeat + fold, first=n * fold)
        for repeat in range(1, repeats + 1)
        for fold in range(1, folds + 1)
    }
    return pool(tables)


def test_the_pooled_table_says_which_fold_a_row_is_of() -> None:
    pooled = pooled_of(repeats=2)
    assert list(pooled.columns[:3]) == ["repeat", "fold", "track_id"]
    assert list(pooled.groupby(["repeat", "fold"]).size()) == [30] * 6


@pytest.mark.parametrize(
    "tables",
    [
        {(1, 1): table(6, 0), (1, 2): table(6, 1, first=5)},
        {(1, 1): table(6, 0), (2, 1): table(5, 0)},
    ],
)
def test_folds_that_were_dealt_in_two_ways_are_refused(tables) -> None:
    with pytest.raises(DataError, match="do not hold each track once"):
        pool(tables)


def test_intervals_hold_their_figure_and_repeat() -> None:
    units = recordings_of(pooled_of())
    found = group_intervals(units)
    assert found == group_intervals(units)
    for name, interval in found.items():
        assert interval.low < interval.mean <= interval.high, name
        assert interval.mean == pytest.approx(measures(units)[name])
        assert interval.n == 10


def test_an_interval_over_groups_is_wider_where_their_tracks_stand_and_fall_together() -> None:
    units = recordings_of(pooled_of(n=100))
    whole = np.isin(units["group"], ["g0", "g1", "g2"])
    other = units["genre"].map(dict(zip(GENRES, GENRES[1:] + GENRES[:1], strict=True)))
    together = units.assign(predicted=units["genre"].where(~whole, other))
    alone = together.assign(group=together["track_id"])
    wide, narrow = (group_intervals(each)["accuracy"] for each in (together, alone))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_one_group_has_no_interval() -> None:
    units = recordings_of(pooled_of()).assign(group="g")
    with pytest.raises(DataError, match="two groups or more, not 1"):
        group_intervals(units)


def test_repeats_bring_an_interval_of_their_own() -> None:
    assert "over_repeats_low" not in pooled_figures(recordings_of(pooled_of()))
    units = recordings_of(pooled_of(repeats=3))
    found = pooled_figures(units)
    assert found["over_repeats_low"] < found["accuracy"] < found["over_repeats_high"]
    shares = [metrics.accuracy(part) for _, part in units.groupby("repeat")]
    assert found["accuracy"] == pytest.approx(np.mean(shares))


def test_segments_of_a_recording_are_one_unit_of_each_repeat() -> None:
    def cut(part: pd.DataFrame) -> pd.DataFrame:
        ids = [f"blues/song{i // 2}.seg{i % 2:03d}" for i in range(len(part))]
        return part.assign(track_id=ids, genre="blues")

    pooled = pool({(repeat, 1): cut(table(12, repeat)) for repeat in (1, 2)})
    units = recordings_of(pooled)
    assert len(units) == 12
    assert list(fold_table(units)["recordings"]) == [6, 6]


def test_the_calibration_error_counts_each_answer_and_is_less_with_a_temperature() -> None:
    pooled = pooled_of(repeats=2)
    columns = [f"logit_{genre}" for genre in GENRES]
    sharp = pooled.drop(columns=["predicted", "confidence"])
    sharp[columns] *= 6
    answers = with_answers(sharp, sharp[columns].to_numpy(np.float32), GENRES)
    units = recordings_of(answers.assign(repeat=sharp["repeat"], fold=sharp["fold"]))
    found = calibration_figures(units)
    assert found["calibration_error"] < found["calibration_error_before"] / 2
    assert found["calibration_error_low"] < found["calibration_error_high"]
    one = calibration_figures(units[units["repeat"] == 1])
    assert one["calibration_error_before"] != found["calibration_error_before"]
