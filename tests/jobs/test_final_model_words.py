"""What the model of a cross-validation says of itself."""

from types import SimpleNamespace

import pandas as pd
import pytest

from genre_mlflow.jobs.crossval_settings import CrossvalSettings
from genre_mlflow.jobs.final_model_words import grouped_by, sentences
from genre_mlflow.model.doubt import UNKNOWN
from genre_mlflow.options import TrainOptions

VALUES = {f"accuracy{end}": 0.5 for end in ("", "_low", "_high")} | {"macro_f1": 0.4}


def test_the_corpus_name_is_no_markup():
    rows = pd.DataFrame({"group": ["a", "b"]})
    corpus = SimpleNamespace(name="<b>*x*|", manifest=rows, split=SimpleNamespace(grouped=rows))
    classifier = SimpleNamespace(network_settings="a[b]", temperature=1.0, doubt=UNKNOWN)
    bench = SimpleNamespace(corpus=corpus)
    said = sentences(TrainOptions(), CrossvalSettings(), bench, None, classifier, VALUES)
    assert r"tracks of **\<b\>\*x\*\|**, and" in said[1]
    assert r"(a\[b\])" in said[2]


@pytest.mark.parametrize(("column", "words"), [
    ("all", "grouped by artist and recording"), ("my*column", r"grouped by my\*column"),
])  # fmt: skip
def test_the_name_of_a_column_is_no_markup(tmp_path, column, words):
    options = TrainOptions.from_flat({"groups": str(tmp_path / "g.csv"), "group_by": column})
    assert grouped_by(options) == words
