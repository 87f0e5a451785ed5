"""Evaluating a finished model on labelled images, as a run of its own."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric

from genre_mlflow.corpus.datasets import TrackDataset, open_cache
from genre_mlflow.corpus.manifest import scan
from genre_mlflow.errors import DataError
from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.predictions import part, predict_tracks
from genre_mlflow.files import home
from genre_mlflow.mlops.options import TrainOptions
from genre_mlflow.mlops.pipeline import load_corpus
from genre_mlflow.mlops.registry import load
from genre_mlflow.mlops.results import write_confusion
from genre_mlflow.mlops.runs import new_run
from genre_mlflow.mlops.store import open_store, store_errors
from genre_mlflow.model.classifier import Classifier


@dataclass(frozen=True)
class Evaluation:
    """What a model reached on a folder."""

    run_id: str
    n_tracks: int
    metrics: dict[str, float]
    report: pd.DataFrame


def evaluate(model: str, options: TrainOptions, *, split: str, experiment: str) -> Evaluation:
    """Predict every track of a folder, or of one split of it, and log table, figures and metrics.

    Raises `DataError` for genres that the model does not know.
    """
    client = open_store()
    classifier = load(model)
    manifest = tracks_to_evaluate(options, split)
    check_known(classifier, manifest)
    cache = open_cache(manifest, classifier.preprocessing, home() / "cache")
    tracks = TrackDataset(manifest, classifier.genres, cache)
    predictions = predict_tracks(classifier, manifest, tracks)
    values = evaluation_metrics(predictions)
    with store_errors():
        run_id = log_evaluation(client, experiment, model, options.data, predictions, values)
    report = metrics.genre_report(predictions)
    return Evaluation(run_id, len(predictions), values, report)


def tracks_to_evaluate(options: TrainOptions, split: str) -> pd.DataFrame:
    """The manifest of the folder, or the part that training would have as `split`."""
    if split != "all":
        return part(load_corpus(options).manifest, split).reset_index(drop=True)
    return scan(Path(options.data), options.on_bad_file).manifest


def check_known(classifier: Classifier, manifest: pd.DataFrame) -> None:
    """A genre that the model cannot answer with would only ever be wrong."""
    unknown = sorted(set(manifest["genre"]) - set(classifier.genres))
    if unknown:
        raise DataError(
            f"the model does not know the genres {', '.join(unknown)}; "
            f"it knows {', '.join(classifier.genres)}"
        )


def evaluation_metrics(predictions: pd.DataFrame) -> dict[str, float]:
    """Accuracy with its interval, macro F1 and loss."""
    low, high = metrics.accuracy_interval(predictions)
    return {
        "accuracy": metrics.accuracy(predictions),
        "accuracy_low": low,
        "accuracy_high": high,
        "macro_f1": metrics.macro_f1(predictions),
        "loss": metrics.log_loss(predictions),
    }


def log_evaluation(
    client: MlflowClient,
    experiment: str,
    model: str,
    data: str,
    predictions: pd.DataFrame,
    values: dict[str, float],
) -> str:
    """A finished run with the predictions and what follows from them; returns its id."""
    corpus = Path(data).absolute().name
    run = new_run(client, experiment, f"evaluate {corpus}", model=model, corpus=corpus)
    run_id, now = run.info.run_id, run.info.start_time
    client.log_batch(run_id, metrics=[Metric(k, v, now, 0) for k, v in values.items()])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        predictions.round(6).to_csv(folder / "predictions.csv", index=False)
        metrics.genre_report(predictions).to_csv(folder / "report.csv", index=False)
        write_confusion(folder, predictions)
        client.log_artifacts(run_id, name)
    client.set_terminated(run_id)
    return str(run_id)
