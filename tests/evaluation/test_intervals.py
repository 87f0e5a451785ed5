"""Intervals of every metric: against the metrics of tables drawn by hand, and what must hold."""

import math

import numpy as np
import pandas as pd
import pytest

from genre_mlflow.evaluation import draws, intervals, metrics
from genre_mlflow.evaluation.intervals import (
    SHARES,
    measures_with_intervals,
    metric_intervals,
    readable,
    report_with_intervals,
    small_sentence,
)
from genre_mlflow.evaluation.predictions import with_answers
from genre_mlflow.evaluation.statistics import wilson_interval

GENRES = ["rock", "blues", "jazz", "soul"]  # not in the alphabet's order


def table(n: int, per_group: int = 1, skill: float = 1.0, seed: int = 0) -> pd.DataFrame:
    """Test tracks that are answered by chance and skill; those of one group are answered alike."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) // per_group
    truth = rng.integers(0, len(GENRES), group[-1] + 1)[group]
    ids = [f"{GENRES[t]}/{i}" for i, t in enumerate(truth)]
    rows = pd.DataFrame({"track_id": ids, "path": ids, "split": "test"})
    rows["genre"], rows["group"] = np.array(GENRES)[truth], [f"artist {g}" for g in group]
    logits = rng.normal(size=(group[-1] + 1, len(GENRES)))[group]
    logits[np.arange(n), truth] += skill
    return with_answers(rows, logits.astype(np.float32), GENRES)


def test_a_draw_is_measured_as_the_table_of_its_tracks():
    tracks = table(60, per_group=3)
    groups, sums = draws.sums_by_group(tracks)
    rng = np.random.default_rng(1)
    for numbers in rng.integers(0, groups, (20, groups)):
        taken = [tracks[tracks["group"] == f"artist {number}"] for number in numbers]
        rows = pd.concat(taken, ignore_index=True)
        total = draws.times_drawn(numbers[None], groups) @ sums
        report = metrics.genre_report(rows)
        found = draws.reports(total)
        for values, name in zip(found, SHARES, strict=True):
            assert np.nan_to_num(values[:, 0]) == pytest.approx(report[name].to_numpy())
        assert draws.others(total)[:, 0] == pytest.approx(
            [metrics.top_accuracy(rows), metrics.log_loss(rows)]
        )


def test_every_interval_holds_its_own_metric():
    tracks = table(200, per_group=2)
    found = metric_intervals(tracks)
    assert list(found) == ["accuracy", "balanced_accuracy", "macro_f1", "top3_accuracy", "loss"]
    for name, value in metrics.measures(tracks).items():
        assert found[name].mean == pytest.approx(value)
        assert found[name].low < value < found[name].high
        assert found[name].n == 100


def test_for_independent_tracks_the_bootstrap_is_near_wilson_who_counts():
    tracks = table(290)
    wilson = metrics.accuracy_interval(tracks)
    report, _ = draws.drawn(tracks, 0)
    assert intervals.ends(report[1, -1]) == pytest.approx(wilson, abs=0.01)
    found = metric_intervals(tracks)["accuracy"]
    assert (found.low, found.high) == wilson


def test_all_right_among_three_is_as_sure_as_the_number_of_tracks():
    found = metric_intervals(table(40, skill=50.0))["top3_accuracy"]
    assert (found.low, found.high) == (wilson_interval(40, 40).low, 1)


def test_tracks_of_one_artist_make_the_interval_wider():
    together = table(300, per_group=10)
    apart = together.assign(group=together["track_id"])
    for name, interval in metric_intervals(together).items():
        other = metric_intervals(apart)[name]
        assert interval.mean == other.mean
        assert interval.high - interval.low > 2 * (other.high - other.low), name


def test_a_seed_gives_the_same_ends_again():
    tracks = table(80)
    assert metric_intervals(tracks) == metric_intervals(tracks)
    assert metric_intervals(tracks, seed=1) != metric_intervals(tracks)


def test_the_order_of_the_rows_changes_no_metric():
    tracks = table(80, per_group=4)
    mixed = tracks.sample(frac=1, random_state=0)
    for name, interval in metric_intervals(mixed).items():
        other = metric_intervals(tracks)[name]
        assert interval.mean == pytest.approx(other.mean)
        width = other.high - other.low
        assert (interval.low, interval.high) == pytest.approx(
            (other.low, other.high), abs=width / 10
        )


def test_segments_are_one_track():
    tracks = table(40)
    names = {f"seg{i:03d}": f".seg{i:03d}" for i in range(3)}
    parts = [tracks.assign(track_id=tracks["track_id"] + ending) for ending in names.values()]
    segments = pd.concat(parts, ignore_index=True)
    for name, interval in metric_intervals(segments).items():
        assert interval.n == 40
        assert interval.mean == pytest.approx(metric_intervals(tracks)[name].mean, abs=1e-6)


def test_fewer_draws_are_taken_of_many_groups(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(draws, "MOST_DRAWN", 1000)
    report, others = draws.drawn(table(30), 0)
    assert report.shape == (3, len(GENRES) + 2, 2000)
    assert others.shape == (2, 2000)


# Measures by name


def test_the_accuracy_keeps_wilsons_interval():
    tracks = table(50)
    values = measures_with_intervals(tracks)
    ends = values["accuracy_low"], values["accuracy_high"]
    assert ends == metrics.accuracy_interval(tracks)
    assert not any(name.startswith("accuracy_over_groups") for name in values)


def test_over_groups_it_has_another_beside():
    values = measures_with_intervals(table(60, per_group=6))
    wilson = values["accuracy_high"] - values["accuracy_low"]
    assert values["accuracy_over_groups_high"] - values["accuracy_over_groups_low"] > 1.5 * wilson


def test_one_group_has_measures_without_bootstrap():
    values = measures_with_intervals(table(5, per_group=5))
    assert [name for name in values if name.endswith("_low")] == ["accuracy_low"]
    assert all(math.isfinite(value) for value in values.values())


# The report by genre


def test_the_report_is_the_one_without_intervals_and_its_ends():
    tracks = table(120, per_group=2)
    report = report_with_intervals(tracks)
    plain = metrics.genre_report(tracks)
    pd.testing.assert_frame_equal(report[list(plain)], plain)
    for name in SHARES:
        assert (report[f"{name}_low"] <= report[name]).all()
        assert (report[f"{name}_high"] >= report[name]).all()


def test_what_is_always_right_is_as_sure_as_its_number_of_tracks():
    report = report_with_intervals(table(100, skill=50.0)).set_index("genre")
    for genre in GENRES:
        n = int(report.loc[genre, "tracks"])
        low = wilson_interval(n, n).low
        assert report.loc[genre, "recall_low"] == report.loc[genre, "precision_low"] == low
        assert report.loc[genre, "recall_high"] == report.loc[genre, "f1_high"] == 1
        assert report.loc[genre, "f1_low"] == 2 * low / (1 + low)


def test_independent_tracks_have_wilsons_interval_and_grouped_ones_a_wider():
    apart = table(60, per_group=5).assign(group=lambda rows: rows["track_id"])
    matrix = metrics.confusion(apart)
    wilson = [wilson_interval(int(row[i]), int(row.sum())) for i, row in enumerate(matrix)]
    report = report_with_intervals(apart)[: len(GENRES)]
    assert report["recall_low"].tolist() == [interval.low for interval in wilson]
    assert report["recall_high"].tolist() == [interval.high for interval in wilson]
    together = report_with_intervals(table(60, per_group=5))[: len(GENRES)]
    for name in SHARES:
        assert (together[f"{name}_low"] <= report[f"{name}_low"]).all()
        assert (together[f"{name}_high"] >= report[f"{name}_high"]).all()
        assert (together[f"{name}_low"] < report[f"{name}_low"]).any()


def test_wilsons_ends_of_f1_are_near_the_bootstrap():
    tracks = table(1000, skill=2.0)
    report = report_with_intervals(tracks)
    drawn, _ = draws.drawn(tracks, 0)
    for genre in range(len(GENRES)):
        row = report.loc[genre]
        found = intervals.ends(drawn[2, genre])
        assert found == pytest.approx((row["f1_low"], row["f1_high"]), abs=0.01)
        assert row["f1_low"] < row["f1"] < row["f1_high"]


def test_a_genre_without_tracks_or_answers_says_nothing():
    tracks = table(60)
    tracks = tracks[(tracks["genre"] != "soul") & (tracks["predicted"] != "soul")]
    row = report_with_intervals(tracks).set_index("genre").loc["soul"]
    assert row[[f"{name}_{end}" for name in SHARES for end in ("low", "high")]].isna().all()
    found = metric_intervals(tracks)
    assert found["balanced_accuracy"].high <= 1
    assert all(math.isfinite(interval.low) for interval in found.values())


def test_a_table_of_one_group_has_wilsons_ends_alone():
    report = report_with_intervals(table(6, per_group=6))
    assert report["f1_low"].tail(2).isna().all()  # of the averages
    genre = report[report["tracks"] == 6].iloc[0]
    assert 0 <= genre["recall_low"] < genre["recall_high"] <= 1


def test_readable_cells_have_three_digits():
    text = readable(report_with_intervals(table(60)))
    assert list(text) == ["genre", "precision", "recall", "f1", "tracks"]
    assert text["recall"].str.fullmatch(r"\d\.\d{3} \(\d\.\d{3} to \d\.\d{3}\)").all()
    one = readable(report_with_intervals(table(6, per_group=6)))
    assert one["f1"].tail(2).str.fullmatch(r"\d\.\d{3}").all()


# Small test sets


@pytest.mark.parametrize(("n", "small"), [(9, True), (10, False)])
def test_fewer_than_ten_tracks_of_a_genre_are_few(n, small):
    counts = {"rock": 10, "blues": 10, "jazz": 10, "soul": n}
    ids = [f"{genre}/{i}" for genre, count in counts.items() for i in range(count)]
    rows = pd.DataFrame({"track_id": ids, "path": ids, "split": "test", "group": ids})
    rows["genre"] = rows["track_id"].str.split("/").str[0]
    said = small_sentence(with_answers(rows, np.zeros((len(ids), 4), np.float32), GENRES))
    assert said == ("A small test set: fewer than 10 tracks of soul (9)" if small else "")


def test_means_of_columns_have_intervals_over_groups() -> None:
    values = np.column_stack([np.ones(6), np.arange(6), [0, 0, 0, 1, 1, 1]])
    groups = pd.Series(["a", "a", "a", "b", "b", "b"])
    same, rising, by_group = intervals.mean_intervals(values, groups)
    assert (same.mean, same.low, same.high, same.n) == (1, 1, 1, 2)
    assert rising.low == 1 < rising.mean == 2.5 < rising.high == 4
    assert (by_group.mean, by_group.low, by_group.high) == (0.5, 0, 1)


def test_means_over_one_group_have_no_interval() -> None:
    (one,) = intervals.mean_intervals(np.array([[1.0], [3.0]]), pd.Series(["a", "a"]))
    assert one.mean == 2
    assert np.isnan([one.low, one.high]).all()
