"""Tracks of an evaluation that the model knows from its training: on them it looks too good."""

from dataclasses import dataclass, field

import pandas as pd

from genre_mlflow.corpus import content_hashes
from genre_mlflow.corpus.leaks import splits_in
from genre_mlflow.corpus.manifest import recordings
from genre_mlflow.errors import DataError, ModelError
from genre_mlflow.files.names import escaped
from genre_mlflow.files.words import few
from genre_mlflow.tracking.registry import training_manifest, training_run
from genre_mlflow.tracking.sessions import CROSSVAL
from genre_mlflow.tracking.store import store_errors

UNKNOWN = "unknown"  # value of the tags


@dataclass(frozen=True)
class Training:
    """The run that trained a model and its manifest or, in `unknown`, why they are not known."""

    run_id: str = ""
    manifest: pd.DataFrame = field(default_factory=pd.DataFrame)
    unknown: str = ""

    def check_known(self) -> None:
        """Raise `ModelError` where it is not known."""
        if self.unknown:
            raise ModelError(f"{self.unknown}; --strict evaluates no such model")


@dataclass(frozen=True)
class KnownTracks:
    """Of the `n` tracks of an evaluation those that a training had in train and in val, by name.

    Segments of one recording count as one. All are empty where the training is `unknown`.
    """

    n: int
    run_id: str
    unknown: str
    train: list[str]
    val: list[str]

    def check_none(self) -> None:
        """Raise `DataError` where there are any."""
        if self.train or self.val:
            raise DataError(f"{self.sentence()}; --strict evaluates on no such tracks")

    def sentence(self) -> str:
        """What there is to warn of; empty where there is nothing."""
        if self.unknown:
            return self.unknown
        parts = {
            f"train of run {self.run_id}, on which the model was trained": self.train,
            f"val of run {self.run_id}, which chose the model's epoch": self.val,
        }
        return "; ".join(
            f"{len(names)} of the {self.n} tracks were in {part}: {few(list(map(escaped, names)))}"
            for part, names in parts.items()
            if names
        )

    def summary(self) -> str:
        """How many there are."""
        if self.unknown:
            return "unknown whether trained on"
        return f"{len(self.train)} trained on, {len(self.val)} validated on"

    def tags(self) -> dict[str, str]:
        """The same as tags of the evaluation's run."""
        counts = {"tracks_of_training": len(self.train), "tracks_of_validation": len(self.val)}
        return {name: UNKNOWN if self.unknown else str(count) for name, count in counts.items()}


def find_training(model: str) -> Training:
    """What the store knows of the training of a model."""
    try:
        with store_errors():
            run = training_run(model)
            manifest = training_manifest(run)
            if run.entity.data.params.get("refit") == "true":  # it was trained on both in the end
                manifest = manifest.replace({"split": {"val": "train"}})
            if run.tags.get("task") == CROSSVAL:  # its final model has learnt from all tracks
                manifest = manifest.assign(split="train")
            return Training(run.id, manifest)
    except (ModelError, OSError) as error:
        return Training(unknown=f"what the model was trained on cannot be known: {error}")


def known_tracks(training: Training, manifest: pd.DataFrame, rows: pd.DataFrame) -> KnownTracks:
    """The tracks in `rows`, which are a part of `manifest`, that a training had."""
    table = pd.DataFrame({"name": recordings(rows)}, index=rows.index)
    table["split"] = UNKNOWN
    if not training.unknown:
        table["split"] = splits_in(training.manifest, manifest, content_hashes.recall())
    train, val = (list(table["name"][table["split"] == s].unique()) for s in ("train", "val"))
    return KnownTracks(table["name"].nunique(), training.run_id, training.unknown, train, val)
