"""What a run shows of its epochs while it trains."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from genre_mlflow.tracking.observer import RunTracker
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.training.history import EpochResult, PassResult


def epoch(number: int, loss: float, right: int) -> EpochResult:
    val = PassResult(loss, [[right, 4 - right], [0, 4]])
    return EpochResult(number, val, val, 0.01, 1.0, 1.0, finished_ms=1_000 * number)


@pytest.fixture
def tracker(store: MlflowClient) -> RunTracker:
    run = TrackedRun.create(store.create_experiment("epochs"), "a run", {})
    return RunTracker(run, {"genres": ["jazz", "rock"]}, "best-last")


@pytest.mark.parametrize(
    ("losses", "best"), [([1.0], 1), ([1.0, 0.5, 0.8], 2), ([0.5, 0.5, 0.7], 1), ([3, 2, 1.0], 3)]
)
def test_the_last_values_of_best_metrics_are_the_best_epochs(
    tracker: RunTracker, tmp_path: Path, losses: list[float], best: int
) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(b"weights")
    for number, loss in enumerate(losses, 1):
        tracker.on_epoch_end(epoch(number, loss, number), weights)
    metrics = TrackedRun.find(tracker.run.id).metrics
    assert metrics["best_epoch"] == best
    assert metrics["best_val_loss"] == losses[best - 1]
    assert metrics["best_val_accuracy"] == (4 + best) / 8
    assert metrics["val_loss"] == losses[-1]
