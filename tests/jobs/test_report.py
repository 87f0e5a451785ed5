"""The final metrics count recordings, in however many files they lie."""

import numpy as np
import pandas as pd
import pytest

from genre_mlflow.evaluation.predictions import with_answers
from genre_mlflow.evaluation.statistics import wilson_interval
from genre_mlflow.jobs.report import final_metrics, write_tables
from genre_mlflow.training.history import EpochResult, PassResult

SPLITS = ("train", "val", "test")
BEST = EpochResult(
    1, PassResult(1.0, [[1]]), PassResult(1.0, [[1]]), 0.01, 1.0, 1.0, finished_ms=0
)  # fmt: skip


@pytest.fixture
def predictions() -> pd.DataFrame:
    """In each split 4 recordings of 3 segments; of the last one, two segments are wrong."""
    tracks = [f"{split}/jazz/{i}.seg00{j}" for split in SPLITS for i in range(4) for j in range(3)]
    rows = pd.DataFrame({"track_id": tracks, "path": tracks, "genre": "jazz", "group": tracks})
    rows["split"] = rows["track_id"].str.split("/").str[0]
    wrong = rows["track_id"].str.contains(r"3\.seg00[01]")
    logits = np.where(wrong.to_numpy()[:, None], [[0, 2]], [[1, 0]])
    return with_answers(rows, logits.astype(np.float32), ["jazz", "rock"])


def test_final_metrics_are_those_of_recordings(predictions):
    values = final_metrics(predictions, predictions, BEST)
    assert values["test_accuracy"] == values["best_val_accuracy"] == 0.75
    interval = wilson_interval(3, 4)
    assert values["test_accuracy_low"] == interval.low
    assert values["test_accuracy_high"] == interval.high
    assert values["best_epoch"] == 1 and values["best_lr"] == 0.01
    assert values["best_val_recall/jazz"] == 0.75
    assert "best_val_recall/rock" not in values  # it has no tracks
    for split in ("best_train", "best_val", "test"):
        assert values[f"{split}_balanced_accuracy"] == 0.75
        assert values[f"{split}_top3_accuracy"] == 1
    for name in ("balanced_accuracy", "top3_accuracy", "macro_f1", "loss"):
        low, high = values[f"test_{name}_low"], values[f"test_{name}_high"]
        assert low <= values[f"test_{name}"] <= high


def test_the_table_keeps_a_row_a_file_and_the_report_counts_recordings(predictions, tmp_path):
    write_tables(tmp_path, [BEST], predictions)
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == 36
    report = pd.read_csv(tmp_path / "test_report.csv")
    assert report["tracks"].tolist() == [4, 0, 4, 4]
