"""Registered versions, their aliases, and classifiers loaded from them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models.model import MLMODEL_FILE_NAME

from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.predictions import read_predictions
from genre_mlflow.jobs.report import PREDICTIONS_FILE
from genre_mlflow.model.classifier import CONFIG_FILE, Classifier
from genre_mlflow.tracking.store import fetched, open_store, read_file, store_errors

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_PREDICTIONS = f"evaluation/{PREDICTIONS_FILE}"  # within the logged model
TEST_DIGEST = "test_digest"


def register(client: MlflowClient, model_id: str, name: str, tags: dict[str, str]) -> ModelVersion:
    """Register a logged model as the next version of `name` and make it the challenger.

    A name without a champion gets this version as its champion too, so that there is something
    to serve. A logged model that is registered already keeps its version, and a newer challenger
    its alias: this may be an older run that is resumed.
    """
    with store_errors():
        version = version_of(client, name, model_id) or mlflow.register_model(
            f"models:/{model_id}", name, tags=tags
        )
        challenger = find_alias(client, name, CHALLENGER)
        if challenger is None or int(challenger.version) < int(version.version):
            client.set_registered_model_alias(name, CHALLENGER, version.version)
        if find_alias(client, name, CHAMPION) is None:
            client.set_registered_model_alias(name, CHAMPION, version.version)
    return version


def version_of(client: MlflowClient, name: str, model_id: str) -> ModelVersion | None:
    """The version of `name` that a logged model is registered as."""
    versions = client.search_model_versions(f"name = '{name}'")
    return next((v for v in versions if v.source == f"models:/{model_id}"), None)


def find_alias(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """The version that an alias points to, or None."""
    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def test_predictions(client: MlflowClient, version: ModelVersion) -> pd.DataFrame:
    """The rows of the test set in the predictions that lie beside a version's model."""
    model = client.get_logged_model(source_id(version))
    with tempfile.TemporaryDirectory() as folder:
        path = read_file(model.artifact_location, MODEL_PREDICTIONS, Path(folder))
        table = read_predictions(path)
    return table[table["split"] == "test"]


def load(model: str) -> Classifier:
    """A classifier from a registered version, a logged model or a folder.

    `model`: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `models:/MODEL_ID` or a path. Raises
    `ModelError` where there is none.
    """
    with classifier_folder(model) as folder:
        return Classifier.load(folder)


@contextmanager
def classifier_folder(model: str) -> Iterator[Path]:
    """The folder of a classifier on this machine, at least until the block ends."""
    if ":/" not in model:
        yield find_classifier(model, Path(model))
        return
    open_store()
    with fetched(model) as folder:
        yield find_classifier(model, folder)


def find_classifier(name: str, folder: Path) -> Path:
    """Where the one classifier lies that is in a folder or below it."""
    if not folder.is_dir():
        raise ModelError(f"{name} is no folder; a registered model is written models:/NAME@ALIAS")
    configs = sorted(folder.rglob(CONFIG_FILE))
    if len(configs) != 1:
        found = len(configs) or "no"
        raise ModelError(f"{name} holds {found} classifiers ({CONFIG_FILE}); one is needed")
    return configs[0].parent


def logged_model_id(client: MlflowClient, model: str) -> str | None:
    """The logged model behind an address, to link metrics to; None for a folder."""
    scheme, _, name = model.rpartition(":/")
    if scheme != "models":
        return None
    if "@" in name:
        return source_id(client.get_model_version_by_alias(*name.split("@", 1)))
    return source_id(client.get_model_version(*name.split("/", 1))) if "/" in name else name


def source_id(version: ModelVersion) -> str:
    """The logged model that was registered as this version."""
    return str(version.source).rpartition("/")[2]


def check_servable(model: str) -> None:
    """Raise `ModelError` for what MLflow cannot serve; an epoch's checkpoint, for one."""
    if ":/" in model:
        open_store()
    with fetched(model) as folder:
        if not (folder / MLMODEL_FILE_NAME).exists():
            raise ModelError(
                f"{model} cannot be served: it has no {MLMODEL_FILE_NAME}; registered versions have"
            )
