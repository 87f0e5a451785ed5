"""What the served model answers, where no server is needed to see it."""

import pandas as pd
import pytest
from greed import ASKED, Greedy
from support import Trained

import genre_mlflow
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
