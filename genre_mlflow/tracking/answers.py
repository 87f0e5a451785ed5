"""What a run or a model has answered on the tracks that it was tested on."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.predictions import part, read_predictions
from genre_mlflow.tracking.models import PREDICTIONS_FILE
from genre_mlflow.tracking.registry import (
    RegisteredModel,
    answered_by,
    logged_model_id,
    training_manifest,
)
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sessions import CROSSVAL

RUN_PREDICTIONS = f"tables/{PREDICTIONS_FILE}"  # of a training: of all splits
WHAT = "a run's id, models:/NAME@ALIAS, models:/NAME/VERSION or models:/MODEL_ID"


@dataclass(frozen=True)
class Answers:
    """The predictions table of a test set, and whose it is.

    `address`: a run's id, or a model's address with its version in the place of an alias.
    `run`: the run that was trained or evaluated, None where it is gone.
    """

    address: str
    run: TrackedRun | None
    predictions: pd.DataFrame

    @property
    def name(self) -> str:
        """What people call it: the model's version, or the name of the run and its id."""
        if ":/" in self.address or self.run is None:
            return self.address
        return f"{self.run.name} ({self.address})"

    def checksums(self) -> dict[str, str]:
        """SHA-256 of the files that were answered, by track; empty where that is not known."""
        if self.run is None:
            return {}
        try:
            manifest = training_manifest(self.run)
        except ModelError:
            return {}
        known = manifest[manifest["track_id"].isin(self.predictions["track_id"])]
        return dict(zip(known["track_id"], known["sha256"], strict=True))


def find_answers(address: str) -> Answers:
    """The answers behind a run's id or a model's address.

    Raises `ModelError` for what is not there, and for what has kept no predictions.
    """
    if ":/" in address:
        return answers_of_model(without_alias(address))
    if Path(address).is_dir():
        raise ModelError(f"{address} is a folder, which keeps no predictions; evaluate it first, "
                         "and name that run")  # fmt: skip
    try:
        run = TrackedRun.find(address)
    except ModelError as error:
        raise ModelError(f"{error}; allowed are {WHAT}") from error
    return Answers(address, run, answers_of_run(run))


def without_alias(address: str) -> str:
    """The address with the version that its alias points to now; any other as it is."""
    name, _, alias = address.removeprefix("models:/").partition("@")
    if not alias:
        return address
    version = RegisteredModel(name).find(alias)
    if version is None:
        raise ModelError(f"model {name!r} has no version with the alias {alias}")
    return f"models:/{name}/{version.version}"


def answers_of_model(address: str) -> Answers:
    """What a model has answered itself, which a run that went on may have overwritten."""
    model_id = logged_model_id(address)
    if model_id is None:
        raise ModelError(f"{address} names no model of the store; allowed are {WHAT}")
    client = RegisteredModel(address).client
    model = client.get_logged_model(model_id)
    try:
        run = TrackedRun.find(model.source_run_id or "")
    except ModelError:
        run = None
    if run and run.tags.get("task") == CROSSVAL:
        raise ModelError(
            f"{address} has learnt from all tracks of a cross-validation and was tested on none; "
            "compare evaluations of it on other tracks"
        )
    return Answers(address, run, answered_by(model, address))


def answers_of_run(run: TrackedRun) -> pd.DataFrame:
    """Of a training its test set, of an evaluation all that was evaluated."""
    if run.tags.get("task") == CROSSVAL:
        raise ModelError(
            f"run {run.id} ({run.name}) is a cross-validation, whose tracks are answered for by "
            "many classifiers; compare trainings, evaluations or models"
        )
    with tempfile.TemporaryDirectory() as folder:
        for name in (RUN_PREDICTIONS, PREDICTIONS_FILE):
            path = run.read_artifact(name, Path(folder))
            if path is not None:
                table = read_predictions(path)
                return part(table, "test") if name == RUN_PREDICTIONS else table
    raise ModelError(
        f"run {run.id} ({run.name}) has no predictions: it is no finished training and no "
        "evaluation"
    )
