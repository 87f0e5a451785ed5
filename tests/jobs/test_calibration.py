"""A run's confidences are calibrated on validation, and the model that is served answers so."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from support import EXPERIMENT, small_options

import genre_mlflow
from genre_mlflow.evaluation.calibration import calibration_error
from genre_mlflow.evaluation.predictions import logits_of, part, read_predictions
from genre_mlflow.jobs.outcome import Outcome
from genre_mlflow.jobs.train import train
from genre_mlflow.options import TrainOptions


@pytest.fixture
def options(tmp_path: Path, make_corpus: Callable[..., Path]) -> TrainOptions:
    data = make_corpus(tmp_path / "music", tracks=40)
    return small_options(data, val_fraction=0.4, label_smoothing=0.3)


def tables(client: MlflowClient, outcome: Outcome, name: str) -> Path:
    return Path(client.download_artifacts(outcome.run_id, f"tables/{name}.csv"))


@pytest.mark.slow
def test_the_model_answers_with_the_temperature_that_validation_gave(
    store: MlflowClient, options: TrainOptions
) -> None:
    outcome = train(options, experiment=EXPERIMENT)
    served = genre_mlflow.load(f"models:/genre-classifier/{outcome.version}")
    assert served.temperature == outcome.metrics["temperature"] != 1.0
    predictions = read_predictions(tables(store, outcome, "predictions"))
    segments = read_segments(tables(store, outcome, "segments"))
    raw = segments[[f"logit_{genre}" for genre in served.genres]].to_numpy()
    assert logits_of(predictions) == pytest.approx(raw / served.temperature, abs=1e-4)
    assert segments["track_id"].tolist() == predictions["track_id"].tolist()
    place = store.get_logged_model(outcome.model_id).artifact_location.removeprefix("file://")
    own = read_predictions(Path(place) / "evaluation" / "predictions.csv")
    pd.testing.assert_frame_equal(own, predictions)
    row = part(predictions, "test").iloc[0]
    assert served.predict(row["path"]).confidence == pytest.approx(row["confidence"], abs=1e-5)
    error = calibration_error(part(predictions, "test"))
    assert outcome.metrics["test_calibration_error"] == pytest.approx(error, abs=1e-5)
    assert set(pd.read_csv(tables(store, outcome, "calibration"))["when"]) == {"before", "after"}
    assert Path(store.download_artifacts(outcome.run_id, "figures/calibration.png")).is_file()
    card = Path(store.download_artifacts(outcome.run_id, "model_card.md")).read_text("utf-8")
    assert "calibrated on the 48 tracks of validation (temperature" in card


@pytest.mark.slow
def test_figures_of_the_best_epoch_are_those_before_calibration(
    store: MlflowClient, options: TrainOptions
) -> None:
    outcome = train(options, experiment=EXPERIMENT)
    (best,) = (
        m.value
        for m in store.get_metric_history(outcome.run_id, "val_loss")
        if m.step == outcome.metrics["best_epoch"]
    )
    assert outcome.metrics["best_val_loss"] == pytest.approx(best, abs=1e-5)


@pytest.mark.slow
def test_artists_of_a_table_are_the_groups_of_all_that_is_said(
    store: MlflowClient, options: TrainOptions, tmp_path: Path
) -> None:
    table = tmp_path / "groups.csv"
    genres = ("blues", "jazz", "rock")
    rows = [f"{g}/{g}.{n:05d},{g} {n // 4}" for g in genres for n in range(40)]
    table.write_text("\n".join(["track_id,artist", *rows]) + "\n")
    outcome = train(options.changed(groups=str(table)), experiment=EXPERIMENT)
    predictions = read_predictions(tables(store, outcome, "predictions"))
    test = part(predictions, "test")
    assert 1 < test["group"].nunique() == len(test) // 4
    assert "test_accuracy_over_groups_low" in outcome.metrics


def read_segments(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"track_id": str})


@pytest.mark.slow
def test_after_a_refit_the_network_before_gives_the_temperature_unless_folds_are_asked_for(
    store: MlflowClient, options: TrainOptions
) -> None:
    first = train(options, experiment=EXPERIMENT)
    again = train(options.changed(refit=True), experiment=EXPERIMENT)
    assert again.metrics["temperature"] == first.metrics["temperature"]
    served = genre_mlflow.load(f"models:/genre-classifier/{again.version}")
    assert served.temperature == first.metrics["temperature"]
    folds = train(options.changed(refit=True, refit_folds=3), experiment=EXPERIMENT)
    served = genre_mlflow.load(f"models:/genre-classifier/{folds.version}")
    assert served.temperature == folds.metrics["temperature"] != first.metrics["temperature"]


@pytest.mark.slow
@pytest.mark.parametrize("refit_folds", [0, 3])
def test_one_that_was_taught_by_networks_that_know_validation_needs_folds(
    store: MlflowClient, options: TrainOptions, refit_folds: int
) -> None:
    changes = {"ensemble": 2, "distil": True, "refit": True, "refit_folds": refit_folds}
    outcome = train(options.changed(**changes), experiment=EXPERIMENT)
    card = Path(store.download_artifacts(outcome.run_id, "model_card.md")).read_text("utf-8")
    served = genre_mlflow.load(f"models:/genre-classifier/{outcome.version}")
    if refit_folds:
        assert served.temperature == outcome.metrics["temperature"] != 1.0
        assert "calibrated on the 108 tracks of train and validation, each answered for" in card
    else:
        assert "temperature" not in outcome.metrics
        assert served.temperature == 1.0
        assert "not calibrated, for the network has learnt from validation" in card


@pytest.mark.slow
def test_a_network_that_was_taught_gives_its_own(
    store: MlflowClient, options: TrainOptions
) -> None:
    several = options.changed(ensemble=2)
    teachers = train(several, experiment=EXPERIMENT)
    taught = train(several.changed(distil=True), experiment=EXPERIMENT)
    assert taught.metrics["temperature"] != teachers.metrics["temperature"]
    served = genre_mlflow.load(f"models:/genre-classifier/{taught.version}")
    assert served.temperature == taught.metrics["temperature"]


@pytest.mark.slow
def test_with_too_few_tracks_nothing_is_calibrated_and_the_card_says_so(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    outcome = train(small_options(make_corpus(tmp_path / "few")), experiment=EXPERIMENT)
    assert "temperature" not in outcome.metrics
    assert genre_mlflow.load("models:/genre-classifier/1").temperature == 1.0
    card = Path(store.download_artifacts(outcome.run_id, "model_card.md")).read_text("utf-8")
    (line,) = (line for line in card.splitlines() if "not calibrated" in line)
    assert "validation has 6 of the 30 tracks that are needed" in line
