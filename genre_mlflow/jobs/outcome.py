"""The end of a training run: log the results and the model; registering it is a step of its own."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.corpus.manifest import digest
from genre_mlflow.evaluation.predictions import by_recording, part, write_predictions
from genre_mlflow.jobs.report import final_metrics, log_results
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.models import MODEL_TYPE, log_classifier
from genre_mlflow.tracking.registry import (
    CHAMPION,
    MODEL_PREDICTIONS,
    TEST_DIGEST,
    find_alias,
    register,
)
from genre_mlflow.tracking.run import DatasetName, log_metrics, log_tags
from genre_mlflow.training.history import EpochResult, best_epoch
from genre_mlflow.training.loop import FitResult


@dataclass(frozen=True)
class Outcome:
    """What a training run reached; `version` and `champion` are empty until it is registered."""

    run_id: str
    model_id: str
    model_name: str
    n_genres: int
    n_test: int
    metrics: dict[str, float]
    tags: dict[str, str]  # of the registered version
    version: str = ""
    champion: str = ""  # version that is served


def finish(
    client: MlflowClient,
    run: Run,
    options: TrainOptions,
    corpus: Corpus,
    classifier: Classifier,
    fitted: FitResult,
    predictions: pd.DataFrame,
) -> Outcome:
    """Log results and model; a run killed in here repeats it without doubles."""
    best = best_epoch(fitted.history)
    values = final_metrics(predictions, best)
    log_results(client, run, options, corpus, fitted.history, predictions)
    classifier.network.cpu()
    model_id = find_model(client, run, best) or log_classifier(client, run, classifier, best.epoch)
    log_predictions(client, model_id, predictions)
    dataset = DatasetName(corpus.name, corpus.digest)
    log_metrics(client, run.info.run_id, values, best.epoch, best.finished_ms, model_id, dataset)
    tags = {
        TEST_DIGEST: digest(corpus.rows("test")),
        "test_accuracy": f"{values['test_accuracy']:.4f}",
        "corpus": corpus.name,
    }
    return Outcome(
        run.info.run_id,
        model_id,
        options.model_name,
        len(corpus.genres),
        len(by_recording(part(predictions, "test"))),
        values,
        tags,
    )


def register_outcome(client: MlflowClient, outcome: Outcome) -> Outcome:
    """Register the model of a run as the challenger; a second time changes nothing."""
    version = register(client, outcome.model_id, outcome.model_name, outcome.tags)
    champion = find_alias(client, outcome.model_name, CHAMPION)
    log_tags(client, outcome.run_id, {"registered": f"{version.name} {version.version}"})
    return replace(
        outcome,
        version=str(version.version),
        champion=str(champion.version) if champion else "",
    )


def find_model(client: MlflowClient, run: Run, best: EpochResult) -> str | None:
    """The model of this epoch that a run has logged before it was killed; a half one is deleted."""
    found = client.search_logged_models(
        experiment_ids=[run.info.experiment_id],
        filter_string=f"source_run_id = '{run.info.run_id}' AND name = '{MODEL_TYPE}'",
    )
    for model in found:
        if model.status != "READY":
            client.delete_logged_model(model.model_id)
    ours = [m for m in found if m.status == "READY" and m.params["epoch"] == str(best.epoch)]
    return str(ours[0].model_id) if ours else None


def log_predictions(client: MlflowClient, model_id: str, predictions: pd.DataFrame) -> None:
    """Keep the table beside the model: a run that goes on may log another model and table."""
    parent, _, name = MODEL_PREDICTIONS.rpartition("/")
    with tempfile.TemporaryDirectory() as folder:
        write_predictions(predictions, Path(folder, name))
        client.log_model_artifacts(model_id, folder, parent)
