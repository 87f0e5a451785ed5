"""The predictions table: one row a track, in the order of the manifest."""

import numpy as np
import pandas as pd
import pytest
import torch

from genre_mlflow.corpus.scan import scan
from genre_mlflow.data.cache import open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation.metrics import log_loss
from genre_mlflow.evaluation.predictions import (
    BATCH,
    by_recording,
    genres_of,
    logits_of,
    part,
    predict_tracks,
    probabilities,
    read_predictions,
    with_answers,
    worst_mistakes,
    write_predictions,
)
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG

GENRES = ["rock", "blues", "jazz"]  # not in the order of the alphabet
SMALL = PreprocessingSettings(image_size=32, image_width=32)


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return Classifier(GENRES, VGG(widths=(4, 8), head_width=8), SMALL)


@pytest.fixture
def manifest(tmp_path, make_corpus):
    table = scan(make_corpus(tmp_path / "music", tracks=12)).manifest
    return table.assign(split=["train", "val", "test", "train"] * 9)


@pytest.fixture
def predictions(tmp_path, classifier, manifest):
    tracks = TrackDataset(manifest, GENRES, open_cache(manifest, SMALL, tmp_path / "cache"))
    return predict_tracks(classifier, manifest, tracks)


def test_one_row_a_track_in_order(predictions, manifest):
    columns = ["track_id", "path", "split", "genre", "predicted", "confidence", "group"]
    assert list(predictions.columns) == [*columns, "logit_rock", "logit_blues", "logit_jazz"]
    assert len(predictions) == 36 > BATCH
    for name in ("track_id", "path", "split", "genre", "group"):
        assert predictions[name].tolist() == manifest[name].tolist()


def test_rows_say_what_the_classifier_says_of_the_file(predictions, manifest, classifier):
    rows = zip(predictions.to_dict("records"), probabilities(predictions), strict=True)
    for (row, shares), path in zip(rows, manifest["path"], strict=True):
        single = classifier.predict(path)
        assert row["predicted"] == single.genre
        assert row["confidence"] == pytest.approx(single.confidence, abs=1e-6)
        assert shares == pytest.approx(list(single.probabilities.values()), abs=1e-6)


def test_logits_of_one_segment_are_the_networks_own(predictions, manifest, classifier):
    pixels = torch.cat([classifier.preprocessor(path) for path in manifest["path"]])
    np.testing.assert_allclose(logits_of(predictions), classifier.logits(pixels), atol=1e-5)


def test_probabilities_are_shares_of_one(predictions):
    shares = probabilities(predictions)
    assert shares.sum(axis=1) == pytest.approx(1, abs=1e-12)
    assert (predictions["confidence"] == shares.max(axis=1)).all()


def test_genres_are_in_the_order_of_the_classifier(predictions):
    assert genres_of(predictions) == GENRES


def test_genres_with_odd_names_are_found():
    names = ["logit_rock", "logit", "logits", "r&b 1990-2000"]
    assert genres_of(pd.DataFrame(columns=["predicted", *(f"logit_{n}" for n in names)])) == names


def of_logits(track_ids, logits, split="test"):
    """Predictions for these tracks of rock, which none of the files is."""
    rows = pd.DataFrame({"track_id": track_ids, "split": split, "genre": "rock", "group": "g"})
    return with_answers(rows.assign(path=track_ids), np.array(logits, np.float32), GENRES)


def test_logits_survive_the_way_through_a_file(tmp_path):
    logits = np.random.default_rng(0).normal(0, 20, (400, 3)).astype(np.float32)
    logits[:100, 1] = np.nextafter(logits[:100, 0], np.float32(99), dtype=np.float32)  # by a hair
    logits[100:110] = [0.0, -87.33655, -0.0]
    table = of_logits([str(i) for i in range(400)], logits)
    write_predictions(table, tmp_path / "predictions.csv")
    back = read_predictions(tmp_path / "predictions.csv")
    assert (logits_of(back) == logits).all()
    assert list(back.columns) == list(table.columns)
    for name in ("track_id", "predicted", "split"):
        assert back[name].tolist() == table[name].tolist()
    assert (probabilities(back).argmax(axis=1) == probabilities(table).argmax(axis=1)).all()
    assert log_loss(back) == log_loss(table)


def test_genres_called_na_or_a_number_survive_the_way_through_a_file(tmp_path):
    rows = {"track_id": "007", "path": "NA", "split": "", "genre": ["NA", "1990"], "group": "1"}
    table = with_answers(pd.DataFrame(rows), np.zeros((2, 2), np.float32), ["NA", "1990"])
    write_predictions(table, tmp_path / "predictions.csv")
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "predictions.csv"), table)


def test_segments_of_a_recording_answer_as_one_by_their_mean():
    ids = ["rock/a.seg000", "rock/a.seg001", "rock/b", "rock/c.seg000", "rock/a.seg002"]
    shares = np.array([[0.95, 0.05, 0], [0.3, 0.7, 0], [0, 1, 0], [0.2, 0.2, 0.6], [0.4, 0.6, 0]])
    table = of_logits(ids, np.log(np.maximum(shares, 1e-38)))
    whole = by_recording(table)
    assert list(whole.columns) == list(table.columns)
    assert whole["track_id"].tolist() == ["rock/a", "rock/b", "rock/c"]
    assert whole["path"].tolist() == ["rock/a.seg000", "rock/b", "rock/c.seg000"]
    assert whole["predicted"].tolist() == ["rock", "blues", "jazz"]  # most files of a said blues
    assert whole["confidence"].tolist() == pytest.approx([0.55, 1, 0.6])
    assert probabilities(whole)[0] == pytest.approx([0.55, 0.45, 0], abs=1e-7)
    assert (logits_of(whole)[1:] == logits_of(table)[2:4]).all()
    pd.testing.assert_frame_equal(by_recording(whole), whole)


def test_whole_recordings_stay_as_they_are(predictions):
    pd.testing.assert_frame_equal(by_recording(predictions), predictions)


def test_segments_dealt_to_two_splits_are_one_unit_of_each_and_of_all():
    ids = ["train/rock/a.seg000", "val/rock/a.seg001", "val/rock/a.seg002", "val/rock/b"]
    table = of_logits(ids, np.eye(4, 3), split=["train", "val", "val", "val"])
    assert by_recording(table)["track_id"].tolist() == ["rock/a", "val/rock/b"]
    assert len(by_recording(part(table, "val"))) == 2
    again = table.assign(track_id=[*ids[:2], "val/rock/a.seg000", ids[3]])  # a number twice: two
    assert len(by_recording(again)) == 3


def test_part_is_one_split(predictions):
    assert len(part(predictions, "test")) == 9
    assert set(part(predictions, "train")["split"]) == {"train"}


def test_worst_mistakes_come_first_and_right_answers_never():
    table = pd.DataFrame(
        [
            ("a", "x", "y", 0.6),
            ("b", "x", "x", 0.99),
            ("d", "x", "y", 0.9),
            ("c", "y", "x", 0.9),
            ("e", "y", "x", 0.7),
        ],
        columns=["track_id", "genre", "predicted", "confidence"],
    )
    assert worst_mistakes(table, 3)["track_id"].tolist() == ["c", "d", "e"]
    assert worst_mistakes(table, 99)["track_id"].tolist() == ["c", "d", "e", "a"]
    assert worst_mistakes(table.iloc[1:2], 3).empty
