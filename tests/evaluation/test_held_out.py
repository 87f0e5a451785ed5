"""Held-out answers: recordings, the pooling of several classifiers' answers, the temperature."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from genre_mlflow.evaluation.calibration import FEWEST, fit_temperature
from genre_mlflow.evaluation.held_out import HeldOut
from genre_mlflow.evaluation.predictions import logits_of

GENRES = ("blues", "jazz", "rock")


def held_out(n: int, seed: int = 0, name: str = "t", per_track: int = 1, **more: Any) -> HeldOut:
    """Tracks whose logits say the truth, more or less."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    ids = [f"{name}.{i:05d}" for i in range(n)]
    rows = pd.DataFrame({
        "track_id": ids, "path": ids, "split": "val", "group": ids,
        "genre": [GENRES[g] for g in truth],
    })  # fmt: skip
    owners = torch.arange(n).repeat_interleave(per_track)
    logits = torch.tensor(rng.normal(size=(len(owners), 3)), dtype=torch.float32)
    logits[torch.arange(len(owners)), torch.tensor(truth)[owners]] += 1
    return HeldOut(rows, 4 * logits, owners, GENRES, "validation", **more)


def test_the_temperature_is_that_of_the_tracks_own_answers() -> None:
    found = held_out(60, per_track=3)
    labels = torch.tensor([GENRES.index(genre) for genre in found.rows["genre"]])
    for aggregation in ("mean", "vote", "max"):
        expected = fit_temperature(found.logits, found.owners, labels, aggregation)
        assert found.temperature(aggregation) == expected > 1


@pytest.mark.parametrize(("n", "is_fitted"), [(FEWEST, True), (FEWEST - 1, False)])
def test_too_few_tracks_give_none(n: int, is_fitted: bool) -> None:
    assert (held_out(n).temperature("mean") is not None) == is_fitted


def test_tracks_that_are_answered_for_twice_are_no_more_of_them() -> None:
    few = held_out(FEWEST - 1)
    twice = HeldOut.pooled([few, few], "two repeats")
    assert twice.temperature("mean") is None
    assert twice.words == f"the {FEWEST - 1} tracks of two repeats"


def test_pooled_answers_are_those_of_all_parts_in_their_order() -> None:
    one, two = held_out(20, 1, "a", per_track=2), held_out(30, 2, "b")
    pooled = HeldOut.pooled([one, two], "all", ", by two")
    assert (pooled.n, pooled.words) == (50, "the 50 tracks of all, by two")
    answers = [logits_of(part.answers("mean")) for part in (one, two)]
    np.testing.assert_array_equal(logits_of(pooled.answers("mean")), np.concatenate(answers))
    assert list(pooled.rows["part"]) == [0] * 20 + [1] * 30
    labels = torch.cat([one.labels, two.labels])
    owners = torch.cat([one.owners, two.owners + 20])
    logits = torch.cat([one.logits, two.logits])
    assert pooled.temperature("mean") == fit_temperature(logits, owners, labels, "mean")


def test_a_recording_counts_once_in_each_part_with_all_its_segments() -> None:
    rows = pd.DataFrame({
        "track_id": ["train/x.seg000", "val/x.seg001", "train/y"],
        "split": ["train", "val", "train"],
        "genre": ["blues", "blues", "rock"], "group": "g", "path": "p",
    })  # fmt: skip
    logits = torch.zeros(3, 3)
    part = HeldOut(rows, logits, torch.arange(3), GENRES, "a fold")
    assert (part.n, part.labels.tolist()) == (2, [0, 2])
    twice = HeldOut.pooled([part, part], "two repeats")
    assert twice.n == 2, "repeats make no more recordings"
    assert twice.labels.tolist() == [0, 2, 0, 2]


def test_a_temperature_divides_the_logits() -> None:
    found = held_out(5)
    np.testing.assert_allclose(
        logits_of(found.answers("mean", 2.0)), logits_of(found.answers("mean")) / 2, rtol=1e-6
    )
