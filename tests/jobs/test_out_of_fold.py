"""The answers of folds after a refit, as they are logged and read again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.held_out import PART, HeldOut
from genre_mlflow.evaluation.predictions import (
    logits_of,
    read_predictions,
    read_segments,
    segment_table,
    write_predictions,
)
from genre_mlflow.jobs.out_of_fold import (
    FOLDS,
    answers_in,
    are_left,
    by_whom,
    figures_of_folds,
    pooled_table,
)
from genre_mlflow.options import TrainOptions
from genre_mlflow.training.checkpoint import CheckpointFolder

GENRES = ("blues", "jazz", "rock")


def answers(n_folds: int = 3) -> HeldOut:
    """Ten tracks of two segments a fold."""
    rng = np.random.default_rng(0)
    parts = []
    for fold in range(n_folds):
        ids = [f"{fold}.{i:05d}" for i in range(10)]
        rows = pd.DataFrame({
            "track_id": ids, "path": ids, "split": "train", "group": ids,
            "genre": [GENRES[i % 3] for i in range(10)],
        })  # fmt: skip
        logits = torch.tensor(rng.normal(size=(20, 3)), dtype=torch.float32)
        owners = torch.arange(10).repeat_interleave(2)
        parts.append(HeldOut(rows, logits, owners, GENRES, "a fold"))
    return HeldOut.pooled(parts, "train and validation", by_whom(n_folds))


def tables(held_out: HeldOut, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is logged of it, read again."""
    write_predictions(pooled_table(held_out, "mean"), folder / "predictions.csv")
    segments = segment_table(held_out.rows, held_out.owners, held_out.logits, held_out.genres)
    segments.to_csv(folder / "segments.csv", index=False)
    return read_predictions(folder / "predictions.csv"), read_segments(folder / "segments.csv")


def test_what_is_read_again_says_the_same(tmp_path: Path) -> None:
    logged = answers()
    read = answers_in(*tables(logged, tmp_path))
    assert read.words == logged.words
    assert list(read.rows[PART]) == list(logged.rows[PART])
    np.testing.assert_array_equal(
        logits_of(read.answers("mean")), logits_of(logged.answers("mean"))
    )
    assert read.temperature("mean") == logged.temperature("mean")
    assert figures_of_folds(read, "mean") == figures_of_folds(logged, "mean")


def test_folds_are_left_until_all_have_answered(tmp_path: Path) -> None:
    options = TrainOptions.from_flat({"refit": True, "refit_folds": 2, "epochs": 3})
    assert not are_left(options.changed(refit_folds=1), tmp_path)
    assert are_left(options, tmp_path)
    for number, is_left in ((1, True), (2, False)):
        CheckpointFolder(tmp_path / FOLDS / f"0{number}").save_weights(3, {"a": torch.zeros(1)})
        assert are_left(options, tmp_path) == is_left
    assert are_left(options.changed(epochs=4), tmp_path), "more epochs train them anew"


def test_damaged_tables_are_refused(tmp_path: Path) -> None:
    pooled, segments = tables(answers(), tmp_path)
    for tracks, own, message in (
        (pooled.drop(columns="fold"), segments, r"^there is no column fold$"),
        (pooled[1:], segments, r"^0\.00000 is in one of the tables .* alone$"),
        (pooled, segments[2:], r"^0\.00000 is in one of the tables .* alone$"),
        (pooled, segments.drop(columns="logit_rock"), r"have not the same genres$"),
    ):
        with pytest.raises(DataError, match=message):
            answers_in(tracks, own)
    (tmp_path / "segments.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"^segments\.csv is no table of segments$"):
        read_segments(tmp_path / "segments.csv")
