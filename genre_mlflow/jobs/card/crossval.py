"""The card of a model that a cross-validation has made, which was tested on no tracks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.predictions import genres_of
from genre_mlflow.jobs.card.corpus import whose
from genre_mlflow.jobs.card.markup import code, picture, plain, table
from genre_mlflow.jobs.card.metadata import METRICS, metadata, written
from genre_mlflow.jobs.card.metadata import results as eval_results
from genre_mlflow.jobs.card.training import recipe
from genre_mlflow.jobs.card.use import input_and_output, introduction, limits, use
from genre_mlflow.options import TrainOptions

SPLIT = "cross-validation"  # what the figures were measured by, for Hugging Face
INTERVAL = "The interval is a bootstrap of whole groups; all figures are those of the folds."
BY_GENRE = "By genre, of all folds together:"
CONFUSION_PICTURE = "figures/confusion_rates.png"
ALL_LEARNT = """all were learnt from. The manifest with every track's checksum and format is in
`data/manifest.csv`, faults of the corpus are in `data/faults.json`."""


@dataclass(frozen=True)
class CrossvalFacts:
    """What a cross-validation knows of the model that it has made.

    `corpus`: its name; `digest`: of its tracks; `units`: predictions of all folds, one row a
    recording; `values`: figures of the folds, with the ends of their intervals (`_low`, `_high`);
    `about`: sentences on the model, the last one on its calibration; `model`: its address.
    """

    options: TrainOptions
    corpus: str
    digest: str
    formats: str
    manifest: pd.DataFrame
    units: pd.DataFrame
    values: Mapping[str, float]
    about: Sequence[str]
    model: str

    @property
    def genres(self) -> list[str]:
        """What the model can answer."""
        return genres_of(self.units)


def crossval_card(facts: CrossvalFacts) -> str:
    """The card in Markdown."""
    sections = (front_matter, introduction, results, by_genre, confusion, calibration, data,
                input_and_output, use, recipe, limits)  # fmt: skip
    return "\n\n".join("\n".join(section(facts)) for section in sections) + "\n"


def front_matter(facts: CrossvalFacts) -> list[str]:
    """The metadata, with the figures of the folds."""
    ends = {name: (facts.values[f"{name}_low"], facts.values[f"{name}_high"]) for name in METRICS}
    return written(metadata(facts, eval_results(facts, SPLIT, facts.values, ends)))


def results(facts: CrossvalFacts) -> list[str]:
    """What the folds say of it."""
    return ["## Results", "", *facts.about[:-1], INTERVAL]


def by_genre(facts: CrossvalFacts) -> list[str]:
    """Precision, recall and F1 of each genre."""
    report = metrics.genre_report(facts.units).round(3)
    rows = [[plain(str(cell)) for cell in row] for row in report.to_numpy().tolist()]
    return ["### By genre", "", BY_GENRE, "", *table([str(name) for name in report], rows)]


def confusion(facts: CrossvalFacts) -> list[str]:
    """Which genres are taken for which."""
    words = "Confusion matrix of all folds: of each genre, the share that gets each answer"
    return ["### Confusion", "", picture(CONFUSION_PICTURE, words)]


def calibration(facts: CrossvalFacts) -> list[str]:
    """How far the probabilities can be believed."""
    return ["## Calibration", "", facts.about[-1]]


def data(facts: CrossvalFacts) -> list[str]:
    """Which corpus, and whose it is."""
    n = f"{len(facts.manifest):,}"
    return [
        "## Data",
        "",
        f"Corpus {code(facts.corpus)}: {n} files, {plain(facts.formats)}; {ALL_LEARNT}",
        "",
        *table(("digest", ""), [("data", code(facts.digest))]),
        *whose(facts),
    ]
