"""Which answers are sure, and which genres are likely, by tracks that were held out."""

import numpy as np
import pandas as pd
import pytest
from mapie.classification import SplitConformalClassifier

from genre_mlflow.evaluation.calibration import FEWEST
from genre_mlflow.evaluation.doubt import (
    fit_doubt,
    likely_from,
    likely_sets,
    sure_answers,
    sure_from,
)
from genre_mlflow.evaluation.doubt_settings import DoubtSettings
from genre_mlflow.evaluation.known_answers import KnownAnswers
from genre_mlflow.evaluation.metrics import places
from genre_mlflow.evaluation.predictions import probabilities, with_answers
from genre_mlflow.model.doubt import NEVER, UNKNOWN

GENRES = ["blues", "jazz", "rock"]


def table(confidences, hits):
    """Tracks whose answer, blues, has these confidences, and is right or not."""
    confidences = np.asarray(confidences, float)
    rows = pd.DataFrame(
        {
            "track_id": [f"t{place}" for place in range(len(hits))], "path": "", "split": "val",
            "genre": ["blues" if hit else "jazz" for hit in hits], "group": "",
        }
    )  # fmt: skip
    others = (1 - confidences) / 2
    shares = np.stack([confidences, others * 1.1, others * 0.9], axis=1)
    return with_answers(rows, np.log(shares).astype(np.float32), GENRES)


def drawn(n, seed=0):
    """Tracks whose genres follow the probabilities that they get."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 3)).astype(np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    genres = [GENRES[rng.choice(3, p=row)] for row in shares]
    rows = pd.DataFrame(
        {"track_id": [f"t{i}" for i in range(n)], "path": "", "split": "val", "genre": genres,
         "group": ""}
    )  # fmt: skip
    return with_answers(rows, logits, GENRES)


def test_it_is_the_least_confidence_from_which_on_answers_are_right_often_enough():
    confidences = np.linspace(0.99, 0.5, 40)
    hits = np.arange(40) < 30
    found = sure_from(table(confidences, hits), 0.9)
    # 30 right ones and 2 wrong ones are 30 of 33 with one more, 30 and 3 are 30 of 34.
    assert confidences[32] < found < confidences[31]
    assert sure_answers(table(confidences, hits), found).precision.mean == 30 / 32


@pytest.mark.parametrize(("n_right", "is_enough"), [(8, False), (9, True)])
def test_a_few_right_answers_at_the_top_of_the_list_are_not_enough(n_right, is_enough):
    confidences = np.linspace(0.99, 0.5, 40)
    found = sure_from(table(confidences, np.arange(40) < n_right), 0.9)
    assert (found < NEVER) == is_enough


def test_equal_confidences_are_on_one_side():
    confidences = np.repeat([0.9, 0.7, 0.5], [20, 20, 10])
    hits = np.repeat([True, True, False, False], [20, 5, 15, 10])  # 25 of 40 from 0.7 on
    assert sure_from(table(confidences, hits), 0.9) == pytest.approx(0.8)


def test_a_precision_that_nothing_reaches_makes_all_answers_unsure():
    predictions = table(np.linspace(0.9, 0.5, 40), np.arange(40) % 2 == 0)
    found = sure_from(predictions, 0.9)
    assert found == NEVER
    sure = sure_answers(predictions, found)
    assert sure.coverage.mean == 0
    assert sure.precision is None


def test_where_all_are_right_all_are_sure():
    predictions = table(np.linspace(0.9, 0.5, 40), [True] * 40)
    assert sure_answers(predictions, sure_from(predictions, 0.9)).coverage.mean == 1


def test_on_other_tracks_the_precision_is_the_one_that_was_asked_for():
    found = sure_from(drawn(4000), 0.85)
    assert sure_answers(drawn(4000, seed=1), found).precision.mean == pytest.approx(0.85, abs=0.03)


@pytest.mark.parametrize("coverage", [0.6, 0.8, 0.95])
def test_likely_genres_hold_the_right_one_as_often_as_asked(coverage):
    found = likely_sets(drawn(4000, seed=1), likely_from(drawn(4000), coverage))
    assert found.coverage.mean >= coverage - 0.02
    assert 1 <= found.mean_size <= 3


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_they_are_those_of_mapie(coverage):
    own, others = drawn(300), drawn(200, seed=1)
    known = KnownAnswers().fit(probabilities(own), np.arange(3))
    model = SplitConformalClassifier(known, coverage).conformalize(probabilities(own), places(own))
    sets = model.predict_set(probabilities(others))[1][:, :, 0]
    ours = probabilities(others) >= likely_from(own, coverage)
    assert (sets == ours).all()


@pytest.mark.parametrize(("n", "is_known"), [(101, True), (99, False)])
def test_too_few_tracks_for_so_large_a_share_make_all_genres_likely(n, is_known):
    assert (likely_from(drawn(n), 0.99) > 0) == is_known


@pytest.mark.filterwarnings("error")
def test_a_genre_without_a_track_is_no_trouble():
    predictions = drawn(200)
    assert likely_from(predictions[predictions["genre"] != "rock"], 0.9) > 0


@pytest.mark.parametrize("n", [FEWEST - 1, FEWEST])
def test_of_too_few_tracks_nobody_knows(n):
    doubt = fit_doubt(drawn(n), DoubtSettings())
    assert (doubt == UNKNOWN) == (n < FEWEST)
