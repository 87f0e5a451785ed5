"""What a finished training run knows of its model, read from the store."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from genre_mlflow.corpus.corpus import LEAKS, SHARED
from genre_mlflow.corpus.manifest import digest
from genre_mlflow.corpus.settings import SPLITS
from genre_mlflow.corpus.shared_groups import SharedGroup
from genre_mlflow.corpus.splits import leak_clause
from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.intervals import metric_intervals
from genre_mlflow.evaluation.predictions import by_recording, genres_of, part, read_predictions
from genre_mlflow.evaluation.statistics import Interval
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.answers import RUN_PREDICTIONS, WHAT, without_alias
from genre_mlflow.tracking.registry import MANIFEST_FILE, read_manifest, training_run
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sessions import CONFIG_FILE, CROSSVAL, TASKS, TRAIN

FAULTS_FILE = "data/faults.json"
EXPLANATIONS = "explanations"  # folder of artifacts that another command adds later
MODEL_TAG = "model_id"  # of a run: its logged model, whose figures its card has
CALIBRATION_TAG = "calibration"  # of a run: how far its confidences can be believed
TEST_READS = "test_set_read"  # of a run: when its test set was read


class ModelFacts(Protocol):
    """What is known of any model, however it was made and measured."""

    @property
    def options(self) -> TrainOptions:
        """Those of its training."""

    @property
    def corpus(self) -> str:
        """What the data is called."""

    @property
    def digest(self) -> str:
        """That of the data, with its split."""

    @property
    def manifest(self) -> pd.DataFrame:
        """Its tracks."""

    @property
    def genres(self) -> list[str]:
        """What it can answer."""

    @property
    def model(self) -> str:
        """Its address."""


@dataclass(frozen=True)
class RunFacts:
    """What a run knows when it has ended.

    `predictions`: of all splits; `metrics`: the last values; `faults`: as the corpus had them;
    `digest`: of the data with its split; `explanations`: paths of artifacts.
    """

    run_id: str
    experiment: str
    options: TrainOptions
    corpus: str
    digest: str
    manifest: pd.DataFrame
    faults: Mapping[str, Sequence[Any]]
    predictions: pd.DataFrame
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    device: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    explanations: Sequence[str] = ()

    @cached_property
    def units(self) -> dict[str, pd.DataFrame]:
        """The predictions of each split, one row a recording."""
        return {split: by_recording(part(self.predictions, split)) for split in SPLITS}

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Those of the test set's figures; empty where its tracks are one group."""
        return metric_intervals(self.units["test"])

    @property
    def genres(self) -> list[str]:
        """What the model can answer."""
        return genres_of(self.predictions)

    @property
    def counts(self) -> dict[str, int]:
        """Files of each split."""
        return {split: int((self.manifest["split"] == split).sum()) for split in SPLITS}

    @property
    def test_digest(self) -> str:
        """What tells its test set from others."""
        return digest(part(self.manifest, "test"))

    @property
    def leak(self) -> str:
        """What is on two sides of the split, in a clause; empty where nothing is."""
        shared = [SharedGroup(**one) for one in self.faults.get(SHARED, [])]
        return leak_clause(self.faults.get(LEAKS, []), shared)

    @property
    def model(self) -> str:
        """The address of its model."""
        return f"models:/{self.tags.get(MODEL_TAG, '')}"

    @property
    def test_reads(self) -> list[str]:
        """When its test set was read, and after how many epochs."""
        return self.tags.get(TEST_READS, "").split("; ")


def facts_of(run: TrackedRun) -> RunFacts:
    """What a run holds. Raises `ModelError` where it is no training that has ended with a model."""
    check_trained(run)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config, faults = (read_json(run, path, folder) for path in (CONFIG_FILE, FAULTS_FILE))
        manifest = read_manifest(run.fetch(MANIFEST_FILE, folder))
        predictions = read_predictions(run.fetch(RUN_PREDICTIONS, folder))
    return RunFacts(
        run_id=run.id,
        experiment=run.client.get_experiment(run.experiment_id).name,
        options=TrainOptions.from_saved(config["options"]),
        corpus=config["dataset"]["name"],
        digest=config["dataset"]["digest"],
        manifest=manifest,
        faults=faults,
        predictions=predictions,
        metrics=run.metrics,
        tags=run.tags,
        device=config["device"],
        versions=config["versions"],
        explanations=run.files(EXPLANATIONS),
    )


def find_run(address: str) -> TrackedRun:
    """The run of an id, or that trained the model at an address. Raises `ModelError`."""
    if ":/" in address:
        return training_run(without_alias(address))
    if Path(address).is_dir():
        raise ModelError(f"{address} is a folder, which names no run; allowed are {WHAT}")
    try:
        return TrackedRun.find(address)
    except ModelError as error:
        raise ModelError(f"{error}; allowed are {WHAT}") from error


def check_trained(run: TrackedRun) -> None:
    """Raise `ModelError` for a run that is no training, or has no model of its own."""
    task = run.tags.get("task", "")
    if task in TASKS[CROSSVAL]:
        raise ModelError(
            f"run {run.id} ({run.name}) is a cross-validation: a model of its --final has no test "
            "set, and its card is neither made again nor verified"
        )
    if task not in TASKS[TRAIN]:
        kind = f"is one of {task}" if task else "is none of genre-mlflow's"
        raise ModelError(f"run {run.id} ({run.name}) {kind}; a card tells of a training")
    if not run.tags.get(MODEL_TAG):
        raise ModelError(
            f"run {run.id} ({run.name}) has no model to tell of: it has not come to its end, or "
            "reads a table in place of music"
        )


def read_json(run: TrackedRun, path: str, folder: Path) -> dict[str, Any]:
    """A JSON file among the artifacts of a run. Raises `ModelError`."""
    try:
        text = run.fetch(path, folder).read_text(encoding="utf-8")
        values: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise ModelError(f"{path} of run {run.id} is damaged: {error}") from error
    return values
