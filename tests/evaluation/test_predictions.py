"""The predictions table: one row a track, in the order of the manifest."""

import pandas as pd
import pytest
import torch

from genre_mlflow.corpus.scan import scan
from genre_mlflow.data.cache import open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation.predictions import (
    BATCH,
    genres_of,
    part,
    predict_tracks,
    worst_mistakes,
)
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.settings import NetworkSettings

GENRES = ["rock", "blues", "jazz"]  # not in the order of the alphabet
SMALL = PreprocessingSettings(image_size=32)


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    return Classifier(GENRES, NetworkSettings((4, 8), head_width=8), SMALL)


@pytest.fixture
def manifest(tmp_path, make_corpus):
    table = scan(make_corpus(tmp_path / "music", tracks=12)).manifest
    return table.assign(split=["train", "val", "test", "train"] * 9)


@pytest.fixture
def predictions(tmp_path, classifier, manifest):
    tracks = TrackDataset(manifest, GENRES, open_cache(manifest, SMALL, tmp_path / "cache"))
    return predict_tracks(classifier, manifest, tracks)


def test_one_row_a_track_in_order(predictions, manifest):
    columns = ["track_id", "split", "genre", "predicted", "confidence", "p_rock", "p_blues"]
    assert list(predictions.columns) == [*columns, "p_jazz"]
    assert len(predictions) == 36 > BATCH
    for name in ("track_id", "split", "genre"):
        assert predictions[name].tolist() == manifest[name].tolist()


def test_rows_say_what_the_classifier_says_of_the_file(predictions, manifest, classifier):
    for row, path in zip(predictions.to_dict("records"), manifest["path"], strict=True):
        single = classifier.predict(path)
        assert row["predicted"] == single.genre
        assert row["confidence"] == pytest.approx(single.confidence, abs=1e-6)
        for genre, probability in single.probabilities.items():
            assert row[f"p_{genre}"] == pytest.approx(probability, abs=1e-6)


def test_probabilities_are_shares_of_one(predictions):
    shares = predictions[[f"p_{genre}" for genre in GENRES]]
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-6)
    assert (predictions["confidence"] == shares.max(axis=1)).all()


def test_genres_are_in_the_order_of_the_classifier(predictions):
    assert genres_of(predictions) == GENRES


def test_genres_with_odd_names_are_found():
    names = ["p_rock", "p", "probabilities", "r&b 1990-2000"]
    assert genres_of(pd.DataFrame(columns=["predicted", *(f"p_{n}" for n in names)])) == names


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
