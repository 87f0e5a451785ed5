"""What a run logs after its last epoch: tables, figures, final metrics."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from genre_mlflow.baselines.importance import importance
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.intervals import measures_with_intervals, report_with_intervals
from genre_mlflow.evaluation.predictions import (
    by_recording,
    genres_of,
    part,
    worst_mistakes,
    write_predictions,
)
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.figures.confusion import confusion_figure
from genre_mlflow.figures.curves import learning_curves
from genre_mlflow.figures.image import save_figure
from genre_mlflow.figures.importance import importance_figure
from genre_mlflow.figures.mistakes import mistakes_figure
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.models import PREDICTIONS_FILE
from genre_mlflow.tracking.observer import metric_names
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.training.history import EpochResult, best_epoch

N_MISTAKES = 12


def log_report(
    run: TrackedRun,
    options: TrainOptions,
    history: Sequence[EpochResult],
    predictions: pd.DataFrame,
) -> None:
    """Log tables and figures of a trained classifier."""
    with run.folder() as folder:
        write_tables(folder / "tables", history, predictions)
        preprocessor = Preprocessor(options.preprocessing)
        write_figures(folder / "figures", preprocessor, history, predictions)


def log_importance(run: TrackedRun, classifier: Classifier, tracks: TrackDataset) -> None:
    """Log which statistics a fitted baseline answers by, of tracks that it was not fitted to."""
    with run.folder() as folder:
        for name in ("tables", "figures"):
            (folder / name).mkdir()
        table = importance(classifier, tracks)
        table.round(4).to_csv(folder / "tables" / "importance.csv", index=False)
        save_figure(importance_figure(table), folder / "figures" / "importance.png")


def log_baseline(run: TrackedRun, predictions: pd.DataFrame) -> None:
    """Log what the baseline says of the test set, beside the network's own table."""
    with run.folder() as folder:
        (folder / "tables").mkdir()
        write_predictions(predictions, folder / "tables" / "baseline_predictions.csv")


def write_tables(folder: Path, history: Sequence[EpochResult], predictions: pd.DataFrame) -> None:
    """Predictions, per-genre report of the test set and the history, as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    write_predictions(predictions, folder / PREDICTIONS_FILE)
    report = report_with_intervals(part(predictions, "test"))
    report.round(4).to_csv(folder / "test_report.csv", index=False)
    curves(history).to_csv(folder / "history.csv", index=False)


def curves(history: Sequence[EpochResult]) -> pd.DataFrame:
    """Loss, accuracy and learning rate by epoch."""
    rows = [
        (r.epoch, r.train.loss, r.val.loss, r.train.accuracy, r.val.accuracy, r.lr) for r in history
    ]
    columns = ["epoch", "train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr"]
    return pd.DataFrame(rows, columns=columns)


def write_figures(
    folder: Path,
    preprocessor: Preprocessor,
    history: Sequence[EpochResult],
    predictions: pd.DataFrame,
) -> None:
    """Learning curves, test confusion matrix (counts and rates), most confident mistakes."""
    test = by_recording(part(predictions, "test"))
    best = best_epoch(list(history)).epoch
    save_figure(learning_curves(curves(history), best), folder / "learning_curves.png")
    write_confusion(folder, test, "Test set", "test_confusion")
    figure = mistakes_figure(worst_mistakes(test, N_MISTAKES), preprocessor)
    save_figure(figure, folder / "mistakes.png")


def write_confusion(folder: Path, predictions: pd.DataFrame, title: str, name: str) -> None:
    """Two figures of one matrix: counts, and rates within each genre."""
    matrix, genres = metrics.confusion(predictions), genres_of(predictions)
    for kind, rates in (("counts", False), ("rates", True)):
        figure = confusion_figure(matrix, genres, title, rates=rates)
        save_figure(figure, folder / f"{name}_{kind}.png")


def final_metrics(
    raw: pd.DataFrame, calibrated: pd.DataFrame, best: EpochResult
) -> dict[str, float]:
    """The best epoch with its learning rate, and the figures of all splits."""
    return {"best_epoch": best.epoch, "best_lr": best.lr} | split_figures(raw, calibrated)


def split_figures(raw: pd.DataFrame, calibrated: pd.DataFrame) -> dict[str, float]:
    """Train, validation and test results, without dropout: of the best epoch's weights, and on
    the test set of the network that was trained again or taught at the end, if one was.

    `raw` for train and validation, so that the loss is that of the epochs, and no temperature
    looks good on what it was fitted to; `calibrated` for test. A recording counts once, in however
    many files its segments lie.
    """
    parts = {split: by_recording(part(raw, split)) for split in ("train", "val")}
    found = {
        "best_train": metrics.measures(parts["train"]),
        "best_val": metrics.measures(parts["val"]),
        "test": measures_with_intervals(by_recording(part(calibrated, "test"))),
    }
    values: dict[str, float] = {}
    for prefix, measures in found.items():
        values |= {f"{prefix}_{name}": value for name, value in measures.items()}
    return values | genre_recalls(parts["val"], "best_val_recall")


def genre_recalls(predictions: pd.DataFrame, prefix: str) -> dict[str, float]:
    """The recall of each genre that has tracks, by the name of its metric."""
    names = metric_names(genres_of(predictions))
    found = zip(names, metrics.recalls(metrics.confusion(predictions)), strict=True)
    return {f"{prefix}/{name}": float(recall) for name, recall in found if np.isfinite(recall)}
