"""A registered model: its versions, their aliases, and classifiers loaded from them."""

import tempfile
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModel
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from genre_mlflow.corpus.manifest import COLUMNS
from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.predictions import part, read_predictions
from genre_mlflow.model.classifier import WEIGHTS_FILE
from genre_mlflow.model.settings import CHAMPION
from genre_mlflow.tracking.artifacts import bytes_below, read_file
from genre_mlflow.tracking.locks import champion_lock
from genre_mlflow.tracking.models import MODEL_PREDICTIONS
from genre_mlflow.tracking.nested import PARENT_TAG
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.store import NOT_THERE, store_errors

CHALLENGER = "challenger"
Version = ModelVersion
MANIFEST_FILE = "data/manifest.csv"  # among the artifacts of a run
ARTIFACTS_OF_MODEL = "artifacts"  # within a logged model: what it was logged with
TEST_DIGEST = "test_digest"  # tag of a version: the tracks that it was tested on
CROSS_VALIDATED = "cross_validated"  # tag of a version in its place: by how many folds


class RegisteredModel:
    """The versions of one name in MLflow's registry."""

    def __init__(self, name: str) -> None:
        self.name, self.client = name, MlflowClient()

    def register(self, model_id: str, tags: dict[str, str], description: str = "") -> ModelVersion:
        """Register a logged model as the next version and make it the challenger.

        A name without a champion gets this version as its champion too, so that there is
        something to serve. A logged model that is registered already keeps its version, and a
        newer challenger its alias: this may be an older run that is resumed.
        """
        with store_errors():
            version = self.version_of(model_id) or mlflow.register_model(
                f"models:/{model_id}", self.name, tags=tags
            )
            if description and not version.description:  # it may be edited by people
                self.client.update_model_version(self.name, version.version, description)
            challenger = self.find(CHALLENGER)
            if challenger is None or int(challenger.version) < int(version.version):
                self.set_alias(CHALLENGER, version)
            if self.find(CHAMPION) is None:
                with champion_lock():
                    if self.find(CHAMPION) is None:
                        self.set_alias(CHAMPION, version)
        return version

    def version_of(self, model_id: str) -> ModelVersion | None:
        """The version that a logged model is registered as."""
        versions = self.client.search_model_versions(f"name = '{self.name}'")
        return next((v for v in versions if v.source == f"models:/{model_id}"), None)

    def find(self, alias: str) -> ModelVersion | None:
        """The version that an alias points to, or None."""
        try:
            return self.client.get_model_version_by_alias(self.name, alias)
        except MlflowException as error:
            if error.error_code in NOT_THERE:
                return None
            raise

    def role_of(self, version: str) -> str:
        """Which alias points to a version now: champion, else challenger, else empty."""
        for alias in (CHAMPION, CHALLENGER):
            found = self.find(alias)
            if found is not None and str(found.version) == version:
                return alias
        return ""

    def get(self, version: str) -> ModelVersion:
        """The version of this number. Raises `ModelError` where there is none."""
        try:
            return self.client.get_model_version(self.name, version)
        except MlflowException as error:
            if error.error_code in NOT_THERE:
                raise ModelError(f"model {self.name!r} has no version {version!r}") from error
            raise

    def set_alias(self, alias: str, version: ModelVersion) -> None:
        """Point an alias to a version."""
        self.client.set_registered_model_alias(self.name, alias, version.version)

    def set_tag(self, version: ModelVersion, key: str, value: str) -> None:
        """Tag a version."""
        self.client.set_model_version_tag(self.name, version.version, key, value)

    def delete_tag(self, version: ModelVersion, key: str) -> None:
        """Take a tag from a version that has it."""
        self.client.delete_model_version_tag(self.name, version.version, key)

    def description(self, version: ModelVersion) -> str:
        """What the UI says of a version now."""
        found = self.client.get_model_version(self.name, version.version)
        return str(found.description or "")

    def describe(self, version: ModelVersion, text: str) -> None:
        """Say in the UI what a version is."""
        self.client.update_model_version(self.name, version.version, text)

    def tags(self, version: ModelVersion) -> dict[str, str]:
        """The tags of a version; one that was found by its alias holds none."""
        return dict(self.client.get_model_version(self.name, version.version).tags)

    def test_predictions(self, version: ModelVersion) -> pd.DataFrame:
        """The rows of the test set in the predictions that lie beside a version's model."""
        model = self.client.get_logged_model(source_id(version))
        return answered_by(model, f"version {version.version} of {self.name!r}")

    def weights_bytes(self, version: ModelVersion) -> int:
        """Bytes of the weights of a version's classifier; 0 where it holds none."""
        location = self.client.get_logged_model(source_id(version)).artifact_location
        return bytes_below(location, ARTIFACTS_OF_MODEL, WEIGHTS_FILE)


def answered_by(model: LoggedModel, name: str) -> pd.DataFrame:
    """The rows of the test set among the predictions beside a model; `name` is for errors."""
    return part(model_predictions(model, name), "test")


def model_predictions(model: LoggedModel, name: str) -> pd.DataFrame:
    """The predictions beside a model; `name` is for errors."""
    with tempfile.TemporaryDirectory() as folder:
        path = read_file(name, model.artifact_location, MODEL_PREDICTIONS, Path(folder))
        return read_predictions(path)


def logged_model_id(model: str) -> str | None:
    """The logged model behind an address, to link metrics to; None for a folder.

    Raises `ModelError` for a version that there is not.
    """
    scheme, _, name = model.rpartition(":/")
    if scheme != "models":
        return None
    client = MlflowClient()
    if "@" in name:
        return source_id(client.get_model_version_by_alias(*name.split("@", 1)))
    if "/" not in name:
        return name
    registered, _, version = name.partition("/")
    return source_id(RegisteredModel(registered).get(version))


def training_run(model: str) -> TrackedRun:
    """The run that trained the model behind an address. Raises `ModelError` where none is known."""
    model_id = logged_model_id(model)
    if model_id is None:
        raise ModelError(f"{model} is a folder, which names no run")
    run_id = MlflowClient().get_logged_model(model_id).source_run_id
    if not run_id:
        raise ModelError(f"{model} names no run")
    return TrackedRun.find(run_id)


def training_manifest(run: TrackedRun) -> pd.DataFrame:
    """The tracks of a run with their splits; a trial's lie in the run of its study.

    Raises `ModelError` where the run has kept none, or none that can be read.
    """
    runs = [run]
    if PARENT_TAG in run.tags:
        runs.append(TrackedRun.find(run.tags[PARENT_TAG]))
    with tempfile.TemporaryDirectory() as folder:
        for place in runs:
            path = place.read_artifact(MANIFEST_FILE, Path(folder))
            if path is not None:
                return read_manifest(path)
    raise ModelError(f"run {run.id} has no {MANIFEST_FILE}")


def read_manifest(path: Path) -> pd.DataFrame:
    """A manifest as a run has kept it; a genre may be called NA. Raises `ModelError`."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:  # of pandas' parser, or no UTF-8
        raise ModelError(f"{MANIFEST_FILE} of its run is damaged: {error}") from error
    if not {*COLUMNS} <= {*table.columns}:
        raise ModelError(f"{MANIFEST_FILE} of its run has not the columns {', '.join(COLUMNS)}")
    return table


def source_id(version: ModelVersion) -> str:
    """The logged model that was registered as this version."""
    return str(version.source).rpartition("/")[2]
