"""Sections of the card about what the model reached."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.intervals import readable, report_with_intervals, small_sentence
from genre_mlflow.files.words import counted
from genre_mlflow.jobs.card.facts import CALIBRATION_TAG, RunFacts
from genre_mlflow.jobs.card.markup import picture, plain, table
from genre_mlflow.jobs.rivals import BASELINE, GAIN
from genre_mlflow.options import TrainOptions

BEST = "Weights of the epoch with the least validation loss."
FIRST = """The rows of train and validation are of a first network, of its epoch with the least
validation loss. Then """
AGAIN = """a network was trained anew on train and validation together, for as many epochs as the
first was"""
TAUGHT = "one network learnt what the {networks} answer (distillation)"
LAST = "; its last weights are this model, and the row of the test set is theirs."
ACCURACY = """Accuracy is per track; segments of one track in files of their own are one, which
answers with their mean. The interval (Wilson, 95 %) takes the tracks as independent, which tracks
of one artist are not."""
HEAD = ("split", "tracks", "accuracy", "95 % interval", "macro F1", "balanced accuracy",
        "top-3 accuracy")  # fmt: skip
BY_GENRE = """Test set by genre, with intervals of 95 % (of the averages a bootstrap's, of a genre
at least Wilson's):"""
MEASURES = ("accuracy", "balanced accuracy", "macro F1", "top-3 accuracy", "loss")
CONFUSION_PICTURE = "figures/test_confusion_rates.png"
CALIBRATION_PICTURE = "figures/calibration.png"
MOST_CONFUSED = 10  # pairs of genres by name


def results(facts: RunFacts) -> list[str]:
    """Figures of all splits, those of the test set with their intervals."""
    reads = f"{times(len(facts.test_reads))} ({'; '.join(facts.test_reads)})"
    small = small_sentence(facts.units["test"])
    return [
        "## Results",
        "",
        f"{chosen(facts.options)} The test set was read {plain(reads)}, after that choice.",
        ACCURACY,
        "",
        *table(HEAD, [result_row(split, rows) for split, rows in facts.units.items()]),
        *intervals(facts),
        *baseline(facts),
        *(["", f"**{plain(small)}.**"] if small else []),
    ]


def chosen(options: TrainOptions) -> str:
    """Which weights the model has."""
    steps = [AGAIN] * options.training.refit
    steps += [TAUGHT.format(networks=options.family)] * options.training.distil
    return FIRST + ", and of these ".join(steps) + LAST if steps else BEST


def times(n: int) -> str:
    """How often, in words."""
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def result_row(split: str, rows: pd.DataFrame) -> list[str]:
    """One row of the table of results."""
    low, high = metrics.accuracy_interval(rows)
    m = metrics.measures(rows)
    return [
        split, str(len(rows)), f"{m['accuracy']:.1%}", f"{low:.1%} to {high:.1%}",
        f"{m['macro_f1']:.3f}", f"{m['balanced_accuracy']:.1%}", f"{m['top3_accuracy']:.1%}",
    ]  # fmt: skip


def intervals(facts: RunFacts) -> list[str]:
    """What the test set's figures may be on other tracks, or artists, of the same kind."""
    found, rows = facts.intervals, facts.units["test"]
    if not found:
        return []
    n = found["accuracy"].n
    over = counted(n, "track") if n == len(rows) else f"{counted(n, 'group')} of tracks"
    cells = [
        (words, f"{interval.mean:.3f}", f"{interval.low:.3f} to {interval.high:.3f}")
        for words, interval in zip(MEASURES, found.values(), strict=True)
    ]
    return [
        "",
        f"The test set, with intervals of 95 % over {over} (a bootstrap; of accuracy and top-3 "
        "accuracy at least Wilson's):",
        "",
        *table(("", "test", "95 % interval"), cells),
    ]


def baseline(facts: RunFacts) -> list[str]:
    """How the statistics baseline does on the same tracks, where that was measured."""
    m = facts.metrics
    if BASELINE not in m:
        return []
    line = f"The statistics baseline, fitted to the same tracks, has accuracy {m[BASELINE]:.1%}"
    if GAIN in m:
        low, high = 100 * m[f"{GAIN}_low"], 100 * m[f"{GAIN}_high"]
        line += (
            f"; this model has {100 * m[GAIN]:+.1f} points (95 % interval over tracks {low:+.1f} "
            f"to {high:+.1f})"
        )
    return ["", f"{line}."]


def by_genre(facts: RunFacts) -> list[str]:
    """Precision, recall and F1 of each genre."""
    report = readable(report_with_intervals(facts.units["test"]))
    rows = [[plain(str(cell)) for cell in row] for row in report.to_numpy().tolist()]
    return ["### By genre", "", BY_GENRE, "", *table([str(name) for name in report], rows)]


def confusion(facts: RunFacts) -> list[str]:
    """Which genres are taken for which: a picture, and the most frequent pairs."""
    test = facts.units["test"]
    rows = most_confused(metrics.confusion(test), facts.genres)
    pairs = ["", "Most often:", "", *table(("genre", "taken for", "tracks"), rows)] if rows else []
    words = "Confusion matrix of the test set: of each genre, the share that gets each answer"
    return ["### Confusion", "", picture(CONFUSION_PICTURE, words), *pairs]


def most_confused(matrix: np.ndarray, genres: Sequence[str]) -> list[tuple[str, str, str]]:
    """The most frequent pairs of genre and wrong answer, as cells, with their numbers of tracks.

    `matrix`: counts, int `[genre, predicted genre]`.
    """
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSED]
    places = [divmod(int(place), len(genres)) for place in order]
    return [
        (plain(genres[one]), plain(genres[other]), str(wrong[one, other]))
        for one, other in places
        if wrong[one, other]
    ]


def calibration(facts: RunFacts) -> list[str]:
    """How far the probabilities can be believed."""
    words = "Confidence against accuracy on the test set, before and after calibration"
    said = facts.tags.get(CALIBRATION_TAG, "")
    return ["## Calibration", "", plain(said), "", picture(CALIBRATION_PICTURE, words)]
