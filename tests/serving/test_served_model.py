"""What the served model answers, where no server is needed to see it."""

import pandas as pd
import pytest
from greed import ASKED, Greedy
from support import Trained

import genre_mlflow
from genre_mlflow.model.doubt import Doubt
from genre_mlflow.served_model import ON_ERROR, GenreModel, Overloaded


@pytest.mark.parametrize("on_error", ON_ERROR)
def test_a_lack_of_memory_is_the_servers_and_no_fault_of_a_row(
    trained: Trained, on_error: str
) -> None:
    model = GenreModel()
    model.classifier = genre_mlflow.load()
    model.classifier.network = Greedy()
    image = next((trained.folder / "music").rglob("*.png")).read_bytes()
    sent = pd.DataFrame({"content": [image]})
    with pytest.raises(Overloaded, match=rf"^out of memory on cpu {ASKED}; .*\.$") as raised:
        model.predict(None, sent, {"on_error": on_error})
    assert raised.value.get_http_status_code() == 503


def served(trained: Trained, doubt: Doubt | None = None) -> GenreModel:
    model = GenreModel()
    model.classifier = genre_mlflow.load()
    if doubt:
        model.classifier.doubt = doubt
    return model


def sent(trained: Trained) -> pd.DataFrame:
    image = next((trained.folder / "music").rglob("*.png")).read_bytes()
    return pd.DataFrame({"content": [image, b"words"]})


def test_what_nobody_knows_is_null(trained: Trained) -> None:
    answers = served(trained).predict(None, sent(trained), {"on_error": "row", "likely": True})
    for column in ("unsure", "foreign", "likely"):
        assert answers[column].tolist() == [None, None]


def test_doubts_are_truth_values_and_likely_genres_come_when_asked_for(trained: Trained) -> None:
    model = served(trained, Doubt(0.0, 0.0))
    answers = model.predict(None, sent(trained), {"on_error": "row", "likely": True})
    assert answers["unsure"].tolist() == [False, None]
    assert answers["likely"][0] == list(answers["probabilities"][0])
    assert "likely" not in model.predict(None, sent(trained), {"on_error": "row"})
