"""What the classifiers of a run answer, before and after their confidences are calibrated."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
from torch import Tensor

from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation.calibration import (
    FEWEST,
    calibration_error,
    calibration_error_interval,
    reliability,
)
from genre_mlflow.evaluation.held_out import HeldOut
from genre_mlflow.evaluation.predictions import answers_of, part, segment_logits, segment_table
from genre_mlflow.evaluation.statistics import Interval
from genre_mlflow.figures.image import save_figure
from genre_mlflow.figures.reliability import reliability_figure
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.tracking.run import TrackedRun


@dataclass(frozen=True)
class Calibrated:
    """Predictions tables of all splits, as the networks answer (`raw`) and calibrated.

    `segments`: the logits of each segment, raw. `held_out`: the answers that speak for the network
    of the test set, None where nothing was held out of what it, or its like, has learnt from.
    `temperature`: fitted to these; None without them, and where they are too few.
    """

    raw: pd.DataFrame
    predictions: pd.DataFrame
    segments: pd.DataFrame
    held_out: HeldOut | None
    temperature: float | None

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
        if self.held_out is None or self.temperature is None:
            why = "the network has learnt from validation, and none of its kind has not"
            if self.held_out:
                why = (
                    f"{self.held_out.source} has {self.held_out.n} of the {FEWEST} tracks that are "
                    "needed"
                )
            return (
                f"The probabilities are not calibrated, for {why}; calibration error on the test "
                f"set {error}."
            )
        return (
            f"The probabilities are calibrated on {self.held_out.words} (temperature "
            f"{self.temperature:.2f}); calibration error on the test set {error}, before "
            f"{self.error_before:.3f}."
        )


def calibrated_answers(
    rated: Mapping[str, Classifier],
    corpus: Corpus,
    tracks: Mapping[str, TrackDataset],
    held_out: Classifier | HeldOut | None,
) -> Calibrated:
    """What each split's classifier in `rated` answers; they get their temperatures.

    `held_out`: by whose answers for the validation tracks that of the one for the test set is
    fitted, or the answers themselves. None: nobody can say, and its temperature stays 1.
    """
    said = {name: segment_logits(who, tracks[name]) for name, who in rated.items()}
    of_val = validated(rated["val"], corpus, tracks["val"], said["val"])
    if held_out is rated["val"]:
        held_out = of_val
    elif isinstance(held_out, Classifier):
        held_out = validated(held_out, corpus, tracks["val"])
    of_test = held_out.temperature(rated["test"].aggregation) if held_out else None
    own = of_test if held_out is of_val else of_val.temperature(rated["val"].aggregation)
    for who in rated.values():
        who.temperature = own or 1.0
    rated["test"].temperature = of_test or 1.0
    tables = [tables_of(rated[n], corpus.grouped_rows(n), tracks[n], said[n]) for n in said]
    raw, calibrated, segments = (
        pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True)
    )
    return Calibrated(raw, calibrated, segments, held_out, of_test)


def validated(
    who: Classifier, corpus: Corpus, tracks: TrackDataset, logits: Tensor | None = None
) -> HeldOut:
    """What a classifier answers to the validation tracks, `logits` where that is known."""
    logits = segment_logits(who, tracks) if logits is None else logits
    return HeldOut(corpus.grouped_rows("val"), logits, tracks.owners, who.genres, "validation")


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
