"""One temperature makes confidences believable, and the calibration error says how far they are."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from torch.nn import functional

from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.calibration import (
    calibration_error,
    calibration_error_interval,
    cross_calibrated,
    fit_temperature,
    reliability,
)
from genre_mlflow.evaluation.predictions import logits_of, with_answers
from genre_mlflow.model.aggregation import aggregate_logits

GENRES = ["blues", "jazz", "rock"]


def drawn(n, sharpness, seed=0):
    """Logits `[n, 3]`, and labels that follow their softmax when divided by `sharpness`."""
    generator = torch.Generator().manual_seed(seed)
    honest = torch.randn(n, 3, generator=generator) * 1.5
    labels = torch.multinomial(honest.softmax(dim=1), 1, generator=generator).flatten()
    return honest * sharpness, labels


def table(logits, labels, groups=None):
    rows = pd.DataFrame(
        {
            "track_id": [f"t{place}" for place in range(len(labels))], "path": "", "split": "test",
            "genre": [GENRES[label] for label in labels],
            "group": [f"g{place}" for place in (groups or range(len(labels)))],
        }
    )  # fmt: skip
    return with_answers(rows, np.asarray(logits, np.float32), GENRES)


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_what_makes_answers_too_sharp_or_too_soft(sharpness):
    logits, labels = drawn(4000, sharpness)
    found = fit_temperature(logits, torch.arange(4000), labels, "mean")
    assert found == pytest.approx(sharpness, rel=0.06)


class Saying(ClassifierMixin, BaseEstimator):
    """An estimator whose rows are its logits."""

    def fit(self, rows, labels):
        self.classes_ = np.unique(labels)
        return self

    def decision_function(self, rows):
        return rows

    def predict(self, rows):
        return self.classes_[rows.argmax(axis=1)]


def test_of_one_segment_a_track_it_is_scikit_learns():
    logits, labels = drawn(200, 2.5)
    rows, truth = logits.double().numpy(), labels.numpy()
    theirs = CalibratedClassifierCV(
        FrozenEstimator(Saying().fit(rows, truth)), method="temperature"
    ).fit(rows, truth)
    temperature = fit_temperature(logits, torch.arange(200), labels, "mean")
    ours = (logits.double() / temperature).softmax(dim=1)
    np.testing.assert_allclose(ours, theirs.predict_proba(rows), atol=1e-3)


def test_where_all_are_right_confidences_are_not_sharpened():
    logits, _ = drawn(60, 1.0)
    right = logits.argmax(dim=1)
    assert fit_temperature(logits, torch.arange(60), right, "mean") == pytest.approx(1, abs=1e-3)
    sharp = fit_temperature(logits, torch.arange(60), right.roll(1), "mean")
    assert sharp > 1


def test_with_votes_each_segment_counts_for_itself():
    logits, labels = drawn(120, 3.0)
    owners, tracks = torch.arange(120) // 3, labels[::3]
    found = fit_temperature(logits, owners, tracks, "vote")
    assert found == fit_temperature(logits, torch.arange(120), tracks[owners], "mean")


@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_no_other_temperature_has_less_loss_over_the_tracks(aggregation):
    logits, labels = drawn(120, 3.0)
    owners = torch.arange(120) // 3  # of three segments each
    tracks = labels[::3]

    def loss(temperature):
        whole = aggregate_logits(logits.double() / temperature, owners, aggregation)
        return float(functional.cross_entropy(whole, tracks))

    found = fit_temperature(logits, owners, tracks, aggregation)
    others = np.geomspace(0.25, 20, 400)
    assert loss(found) <= min(map(loss, others)) + 1e-4


def test_too_few_tracks_are_refused():
    logits, labels = drawn(29, 1.0)
    with pytest.raises(DataError, match="29 tracks are too few for a temperature; 30 are needed"):
        fit_temperature(logits, torch.arange(29), labels, "mean")


def test_the_error_is_the_distance_of_confidence_and_accuracy():
    logits = torch.tensor([0.8, 0.1, 0.1]).log().expand(100, 3)
    half = table(logits, [0, 1] * 50)
    assert calibration_error(half, bins=1) == pytest.approx(0.3)
    honest = table(logits, [0] * 80 + [1] * 20)
    assert calibration_error(honest, bins=1) == pytest.approx(0, abs=1e-6)


def test_calibrating_makes_the_error_of_other_tracks_small():
    logits, labels = drawn(3000, 3.0)
    temperature = fit_temperature(*(drawn(1000, 3.0, seed=1)[0], torch.arange(1000)),
                                  drawn(1000, 3.0, seed=1)[1], "mean")  # fmt: skip
    before, after = (
        calibration_error(table(logits, labels)),
        calibration_error(table(logits / temperature, labels)),
    )
    assert before > 0.15
    assert after < 0.03


def test_each_fold_is_calibrated_by_the_others_alone():
    logits, labels = drawn(90, 3.0)
    logits[:30] *= 10  # of the first fold, which no temperature of its own would leave so
    folds = pd.Series(np.arange(90) // 30)
    found = logits_of(cross_calibrated(table(logits, labels), folds))
    for fold in range(3):
        own = np.flatnonzero(folds == fold)
        others = np.flatnonzero(folds != fold)
        by_others = fit_temperature(logits[others], torch.arange(60), labels[others], "mean")
        np.testing.assert_allclose(found[own], logits[own] / by_others, rtol=1e-5)
    few = table(logits[:40], labels[:40])
    assert logits_of(cross_calibrated(few, folds[:40] * 0 + np.arange(40) // 20)).tolist() == (
        logits_of(few).tolist()
    )


def test_bins_hold_equally_many_and_lie_in_order():
    logits, labels = drawn(95, 1.0)
    found = reliability(table(logits, labels))
    assert found["tracks"].tolist() == [10] * 5 + [9] * 5
    assert found["confidence"].is_monotonic_increasing
    assert ((found["low"] <= found["accuracy"]) & (found["accuracy"] <= found["high"])).all()
    assert len(reliability(table(logits[:4], labels[:4]))) == 4


def test_the_interval_is_wider_where_tracks_come_in_groups():
    logits, labels = drawn(300, 2.0)
    order = torch.argsort((logits.argmax(dim=1) == labels).int())  # groups stand and fall together
    alone = calibration_error_interval(table(logits[order], labels[order]))
    grouped = table(logits[order], labels[order], [place // 30 for place in range(300)])
    together = calibration_error_interval(grouped)
    assert (alone.n, together.n) == (300, 10)
    assert alone.mean == together.mean == calibration_error(grouped)
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert calibration_error_interval(grouped) == together
    assert alone.low < alone.high


def test_no_tracks_have_no_error():
    with pytest.raises(DataError, match="not an empty table"):
        calibration_error(table(torch.zeros(0, 3), []))
