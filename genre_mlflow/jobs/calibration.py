"""What the classifiers of a run answer, before and after their confidences are calibrated."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.corpus.manifest import recordings
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation.calibration import (
    FEWEST,
    calibration_error,
    calibration_error_interval,
    fit_temperature,
    reliability,
)
from genre_mlflow.evaluation.predictions import (
    answers_of,
    by_recording,
    part,
    segment_logits,
    segment_table,
)
from genre_mlflow.evaluation.statistics import Interval
from genre_mlflow.figures.image import save_figure
from genre_mlflow.figures.reliability import reliability_figure
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.tracking.run import TrackedRun


@dataclass(frozen=True)
class Calibrated:
    """Predictions tables of all splits, as the networks answer (`raw`) and calibrated.

    `segments`: the logits of each segment, raw. `temperature`: of the network that answers for the
    test set; None where nothing is calibrated: validation has too few tracks to fit one, or
    (`has_held_out`) nothing was held out of what this network has learnt from.
    `held_out`: calibrated answers for validation by who has not learnt from it, and speaks for the
    one that answers for the test set; None where nobody does.
    """

    raw: pd.DataFrame
    predictions: pd.DataFrame
    segments: pd.DataFrame
    temperature: float | None
    held_out: pd.DataFrame | None

    @property
    def has_held_out(self) -> bool:
        """Whether anybody speaks for the network that answers for the test set."""
        return self.held_out is not None

    @cached_property
    def error(self) -> Interval:
        """The calibration error on the test set, with its interval."""
        return calibration_error_interval(part(self.predictions, "test"))

    @cached_property
    def error_before(self) -> float:
        """That of the raw answers."""
        return calibration_error(part(self.raw, "test"))

    def metrics(self) -> dict[str, float]:
        """Temperature, and the calibration error on the test set before and after."""
        values = {
            "test_calibration_error": self.error.mean,
            "test_calibration_error_low": self.error.low,
            "test_calibration_error_high": self.error.high,
        }
        if self.temperature is not None:
            values["temperature"] = self.temperature
            values["test_calibration_error_before"] = self.error_before
        return values

    def sentence(self) -> str:
        """How far the confidences can be believed."""
        error = f"{self.error.mean:.3f} ({self.error.low:.3f} to {self.error.high:.3f})"
        n_val = len(by_recording(part(self.raw, "val")))
        if self.temperature is None:
            why = f"validation has {n_val} of the {FEWEST} tracks that are needed"
            if not self.has_held_out:
                why = "the network has learnt from validation, and none of its kind has not"
            return (
                f"The probabilities are not calibrated, for {why}; calibration error on the test "
                f"set {error}."
            )
        return (
            f"The probabilities are calibrated on the {n_val} tracks of validation (temperature "
            f"{self.temperature:.2f}); calibration error on the test set {error}, before "
            f"{self.error_before:.3f}."
        )


def calibrated_answers(
    rated: Mapping[str, Classifier],
    corpus: Corpus,
    tracks: Mapping[str, TrackDataset],
    held_out: Classifier | None,
) -> Calibrated:
    """What each split's classifier in `rated` answers; they get their temperatures.

    `held_out`: by whose answers for the validation tracks that of the one for the test set is
    fitted; it has not learnt from them. None: nobody can say, and its temperature stays 1.
    """
    said = {name: segment_logits(who, tracks[name]) for name, who in rated.items()}
    val = {rated["val"]: said["val"]}
    if held_out and held_out not in val:
        val[held_out] = segment_logits(held_out, tracks["val"])
    fitted = {
        who: temperature_of(logits, who, corpus.rows("val"), tracks["val"])
        for who, logits in val.items()
    }
    of_test = fitted[held_out] if held_out else None
    for who in rated.values():
        who.temperature = fitted.get(who, of_test) or 1.0
    tables = [tables_of(rated[n], corpus.grouped_rows(n), tracks[n], said[n]) for n in said]
    raw, calibrated, segments = (
        pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True)
    )
    unseen = None
    if held_out:
        logits = val[held_out] / (of_test or 1.0)
        rows = corpus.grouped_rows("val")
        unseen = answers_of(held_out, rows, tracks["val"].owners, logits)
    return Calibrated(raw, calibrated, segments, of_test, unseen)


def temperature_of(
    logits: Tensor, classifier: Classifier, rows: pd.DataFrame, tracks: TrackDataset
) -> float | None:
    """The temperature by these validation tracks, a recording each; None where they are too few."""
    codes, names = pd.factorize(np.array(recordings(rows), object))
    if len(names) < FEWEST:
        return None
    places = {genre: place for place, genre in enumerate(classifier.genres)}
    first = ~pd.Series(codes).duplicated().to_numpy()
    labels = torch.tensor([places[genre] for genre in rows["genre"][first]])
    owners = torch.from_numpy(codes)[tracks.owners]
    return fit_temperature(logits, owners, labels, classifier.aggregation)


def tables_of(
    who: Classifier, rows: pd.DataFrame, tracks: TrackDataset, logits: Tensor
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Predictions from raw logits, from calibrated ones, and the table of segments."""
    raw = answers_of(who, rows, tracks.owners, logits)
    calibrated = answers_of(who, rows, tracks.owners, logits / who.temperature)
    return raw, calibrated, segment_table(rows, tracks.owners, logits, who.genres)


def log_calibration(run: TrackedRun, answers: Calibrated) -> None:
    """Log the table of segments, and confidence against accuracy as table and figure."""
    with run.folder() as folder:
        for name in ("tables", "figures"):
            (folder / name).mkdir()
        answers.segments.to_csv(folder / "tables" / "segments.csv", index=False)
        bins = {
            when: reliability(part(table, "test"))
            for when, table in (("before", answers.raw), ("after", answers.predictions))
        }
        table = pd.concat(bins, names=["when"]).reset_index("when")
        table.round(4).to_csv(folder / "tables" / "calibration.csv", index=False)
        save_figure(reliability_figure(bins), folder / "figures" / "calibration.png")
