"""A model says when it does not know, by limits that validation has given, and the run says how."""

from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import pictures
import pytest
from explaining import GENRES, NETWORK, PICTURES, corpus
from explaining import pictures as drawn
from mlflow import MlflowClient
from PIL import Image
from support import EXPERIMENT, Trained, small_options

import genre_mlflow
from genre_mlflow.evaluation.doubt import Sets, Sure, sure_answers
from genre_mlflow.evaluation.doubt_settings import DoubtSettings
from genre_mlflow.evaluation.predictions import part, read_predictions
from genre_mlflow.evaluation.statistics import Interval
from genre_mlflow.jobs.doubt import Doubts, familiarity_of
from genre_mlflow.jobs.outcome import not_of_model
from genre_mlflow.jobs.train import train
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.doubt import NEVER, UNKNOWN, Doubt
from genre_mlflow.model.familiarity import BATCH
from genre_mlflow.options import TrainOptions


def share(mean: float) -> Interval:
    return Interval(mean, mean - 0.1, mean + 0.1, 50)


KNOWN = Sure(share(0.6), share(0.9)), Sets(share(0.88), 1.7)
NEVER_SURE = Sure(share(0.1), None), Sets(share(0.88), 1.7)


def test_a_run_says_how_well_its_limits_hold():
    doubts = Doubts(Doubt(0.7, 0.2), KNOWN, KNOWN, share(0.15), DoubtSettings())
    said = doubts.sentence()
    assert "For a precision of 90% answers below a confidence of 0.70 are unsure" in said
    assert "of the test set 60.0% (50.0% to 70.0%) are sure, of which 90.0%" in said
    assert "hold it in 88.0% (78.0% to 98.0%) of the test set, and are 1.7 in the mean" in said
    assert "than 99% of validation is called foreign" in said
    metrics = doubts.metrics()
    assert metrics["sure_from"] == 0.7
    assert metrics["val_sure_precision_low"] == pytest.approx(0.8)
    assert (metrics["test_set_size"], metrics["test_foreign"]) == (1.7, 0.15)


def test_a_precision_that_no_confidence_reaches_is_told():
    doubts = Doubts(Doubt(NEVER, 0.2), NEVER_SURE, NEVER_SURE, None, DoubtSettings())
    assert "No confidence reaches a precision of 90% on validation: every" in doubts.sentence()
    assert "test_sure_precision" not in doubts.metrics()


def test_limits_by_folds_are_not_told_as_those_of_validation():
    source = "train and validation"
    for doubt, shares in ((Doubt(0.7, 0.2), KNOWN), (Doubt(NEVER, 0.2), NEVER_SURE)):
        said = Doubts(doubt, shares, shares, None, DoubtSettings(), source).about_answers()
        assert " train and validation" in said
        assert "of validation" not in said and "on validation" not in said


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"ensemble": 2, "distil": True}, {"best"}),
        ({"refit": True}, {"best", "val_sure", "val_set"}),
        ({"refit": True, "refit_folds": 3}, {"best", "val_sure", "val_set"}),
    ],
)
def test_what_tells_of_another_network_is_not_linked_to_the_model(
    changes: dict, expected: set[str]
) -> None:
    assert {*not_of_model(TrainOptions.from_flat(changes))} == {"out_of_fold", *expected}


def test_where_nobody_knows_there_are_no_metrics():
    doubts = Doubts(UNKNOWN, None, None, None, DoubtSettings())
    assert doubts.metrics() == {}
    assert "Too few tracks were held out" in doubts.sentence()
    assert "Nor is foreign sound told" in doubts.sentence()


def test_of_what_was_learnt_few_pictures_are_read_at_once(monkeypatch) -> None:
    manifest, tracks = corpus(*drawn(2 * BATCH + 3, seed=0))
    read: list[int] = []
    gather = tracks.gather
    monkeypatch.setattr(tracks, "gather", lambda places: read.append(len(places)) or gather(places))
    classifier = Classifier(GENRES, NETWORK, PICTURES)
    known = familiarity_of(classifier, tracks, manifest, tracks, 0.99)
    assert known is not None and len(known.references) == sum(read[:3]) == len(tracks)
    assert max(read) == BATCH


def test_of_a_small_validation_set_nobody_knows(trained: Trained) -> None:
    assert "sure_from" not in trained.outcome.metrics
    with_none = genre_mlflow.load().predict(next((trained.folder / "music").rglob("*.png")))
    assert (with_none.unsure, with_none.likely, with_none.foreign) == (None, None, None)


@pytest.fixture
def options(tmp_path: Path, make_corpus: Callable[..., Path]) -> TrainOptions:
    data = make_corpus(tmp_path / "music", tracks=40)
    return small_options(data, val_fraction=0.4, label_smoothing=0.3, sure_precision=0.8)


@pytest.mark.slow
def test_the_model_that_is_served_has_the_limits_of_its_run(
    store: MlflowClient, options: TrainOptions
) -> None:
    outcome = train(options, experiment=EXPERIMENT)
    served = genre_mlflow.load(f"models:/genre-classifier/{outcome.version}")
    assert served.doubt.sure_from == outcome.metrics["sure_from"]
    assert served.doubt.likely_from == outcome.metrics["likely_from"]
    path = store.download_artifacts(outcome.run_id, "tables/predictions.csv")
    predictions = read_predictions(Path(path))
    test = part(predictions, "test")
    expected = sure_answers(test, outcome.metrics["sure_from"]).coverage.mean
    assert outcome.metrics["test_sure_coverage"] == expected
    called = [served.predict(path).foreign for path in test["path"]]
    assert outcome.metrics["test_foreign"] == sum(called) / len(called)
    music = part(predictions, "train")["path"].iloc[0]
    assert served.predict(music).foreign is False
    gradient = pictures.encode(Image.linear_gradient("L"))
    assert served.predict(gradient).foreign is True
    card = Path(store.download_artifacts(outcome.run_id, "model_card.md")).read_text("utf-8")
    assert "is called foreign" in card
    model = mlflow.pyfunc.load_model(f"models:/genre-classifier/{outcome.version}")
    sent = pd.DataFrame({"content": [Path(music).read_bytes(), gradient]})
    answers = model.predict(sent, params={"likely": True})
    assert answers["foreign"].tolist() == [False, True]
    assert {type(one) for one in answers["unsure"]} == {bool}
    assert answers["likely"][0] == list(served.predict(music).likely)


@pytest.mark.slow
def test_after_a_refit_the_network_before_gives_the_limits(
    store: MlflowClient, options: TrainOptions
) -> None:
    first = train(options, experiment=EXPERIMENT)
    again = train(options.changed(refit=True), experiment=EXPERIMENT)
    one, other = (
        genre_mlflow.load(f"models:/genre-classifier/{run.version}") for run in (first, again)
    )
    assert one.doubt == other.doubt != UNKNOWN
    assert one.familiarity.farthest == other.familiarity.farthest
