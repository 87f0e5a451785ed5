"""The card of a model that a cross-validation has made, which was tested on no tracks."""

from collections.abc import Mapping, Sequence

import pandas as pd

from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.pooled import pool, recordings_of
from genre_mlflow.evaluation.predictions import genres_of
from genre_mlflow.jobs.card import HEAD, REST, markdown_table, of_any_model
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.folds import Key

RESULTS = """
## Results

{about}
The interval is a bootstrap of whole groups; all figures are those of the folds. By genre, of all
folds together:

{report}
"""
DATA = """
## Data

Corpus `{corpus}`: {n} files, {formats}; all were learnt from. The manifest with every track's
checksum and format is in `data/manifest.csv`, faults of the corpus are in `data/faults.json`.
"""


def crossval_card(
    options: TrainOptions,
    corpus: Corpus,
    classifier: Classifier,
    tables: Mapping[Key, pd.DataFrame],
    about: Sequence[str],
) -> str:
    """The card in Markdown. `tables`: the predictions of the folds; `about`: what is to be known.

    The last sentence of `about` is on calibration, and stands with the input and output.
    """
    units = recordings_of(pool(tables))
    report = metrics.genre_report(units).round(3)
    return (HEAD + RESULTS + DATA + REST).format(
        network=classifier.network_settings,
        about="\n".join(about[:-1]),
        report=markdown_table(report),
        corpus=corpus.name,
        n=len(corpus.manifest),
        formats=corpus.formats(),
        calibration=about[-1],
        **of_any_model(options, genres_of(units)),
    )
