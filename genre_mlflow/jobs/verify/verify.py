"""Every figure of a run and of its card, computed anew from the model and the data."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from genre_mlflow.corpus.corpus import Corpus, faults
from genre_mlflow.corpus.settings import SPLITS
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import DataError, ModelError
from genre_mlflow.evaluation.held_out import HeldOut
from genre_mlflow.evaluation.predictions import logits_of
from genre_mlflow.jobs.calibration import Calibrated
from genre_mlflow.jobs.card.card import CARD_FILE, PAGE_FILE, card_page, model_card
from genre_mlflow.jobs.card.facts import CALIBRATION_TAG, RunFacts
from genre_mlflow.jobs.card.page import words_of
from genre_mlflow.jobs.card.use import same_explanations
from genre_mlflow.jobs.doubt import Doubts, believed, doubts_of
from genre_mlflow.jobs.out_of_fold import OUT_OF_FOLD, figures_of_folds, read_answers_of_folds
from genre_mlflow.jobs.outcome import answered
from genre_mlflow.jobs.report import split_figures
from genre_mlflow.jobs.rivals import BASELINE, baseline_predictions, gain_over_baseline
from genre_mlflow.jobs.tracks import open_tracks
from genre_mlflow.jobs.verify import differences
from genre_mlflow.jobs.verify.differences import Difference
from genre_mlflow.jobs.verify.music import MusicNow, music_now
from genre_mlflow.jobs.verify.saved import Saved
from genre_mlflow.jobs.verify.subject import Subject, find_subject, rated_of
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.tracking.store import find_store, store_errors

OF_THE_END = ("test_", "best_", "temperature", "baseline", "gain", "sure_", "likely_", "val_sure",
              "val_set", OUT_OF_FOLD)  # metrics by their first letters  # fmt: skip


@dataclass(frozen=True)
class Anew:
    """What the model of a run answers now, on the music as it lies there now."""

    facts: RunFacts
    corpus: Corpus
    tracks: Mapping[str, TrackDataset]
    answers: Calibrated
    doubts: Doubts
    pooled: HeldOut | None  # what the folds after a refit have answered, as it was logged


@dataclass(frozen=True)
class Verified:
    """What was compared, what differs, and in `notes` what could not be compared."""

    name: str
    n_tracks: int
    n_figures: int
    n_lines: int  # of the card
    differences: list[Difference]
    notes: list[str]


def verify(address: str) -> Verified:
    """Compare what a run, or a model, has recorded with what is computed anew; write nothing.

    `address`: a run's id, `models:/NAME@ALIAS`, `models:/NAME/VERSION` or `models:/MODEL_ID`.
    Raises `GenreError` where there is nothing to compare: no training, no model, no data.
    """
    find_store()
    with store_errors():
        subject = find_subject(address)
        rated = rated_of(subject)
    music = music_now(subject.facts)
    found = [*music.differences, *found_otherwise(subject.facts, music)]
    found += model_differences(subject, rated["test"])
    with store_errors():
        pooled = read_answers_of_folds(subject.run)
    saved = Saved.taken_from(rated["test"])
    anew = answer_anew(subject.facts, music.corpus, rated, pooled)
    values = figures_now(anew)
    found += saved.differences(Saved.of(rated["test"]))
    with store_errors():
        found += subject.elsewhere(values)
        answers = differences.answers(subject.facts.predictions, anew.answers.predictions)
        found += answers
        n_lines, notes = 0, list(music.notes)
        if subject.is_last:
            values |= subject.best_in_history()
            figures = differences.figures(subject.facts.metrics, values)
            expected = expected_card(anew, values, not answers)
            n_lines, texts = compare_card(subject, expected)
            found += [*figures, *texts]
            notes += not_computed(subject.facts, values)
        else:
            notes.append(
                f"run {subject.run.id} went on after this model; its own figures and its card, "
                "which are of a later one, were not compared"
            )
    n_tracks = len(anew.answers.predictions)
    return Verified(subject.address, n_tracks, len(values), n_lines, found, notes)


def answer_anew(
    facts: RunFacts, corpus: Corpus, rated: Mapping[str, Classifier], pooled: HeldOut | None
) -> Anew:
    """Predict all tracks and calibrate the answers, as training does at its end.

    `pooled`: what the folds after a refit have answered, as it was logged: no model of theirs is
    kept. Raises `DataError` where a genre is gone, `ModelError` for answers that are no numbers.
    """
    gone = sorted({*facts.genres} - {*corpus.genres})
    if gone:
        raise DataError(f"{corpus.folder} has no track left of {', '.join(gone)}")
    for classifier in rated.values():
        classifier.temperature = 1.0  # it is fitted anew
    tracks = open_tracks(corpus, facts.options, SPLITS)
    answers = answered(facts.options, corpus, rated, tracks, pooled)
    if not np.isfinite(logits_of(answers.raw)).all():
        raise ModelError(
            f"the model of run {facts.run_id} answers with what is no number: its weights are "
            "damaged"
        )
    doubts = doubts_of(rated["test"], answers, corpus, tracks, facts.options)
    return Anew(facts, corpus, tracks, answers, doubts, pooled)


def of_splits(anew: Anew) -> dict[str, float]:
    """Accuracy and the like of all splits, with the intervals of the test set."""
    return split_figures(anew.answers.raw, anew.answers.predictions)


def of_calibration(anew: Anew) -> dict[str, float]:
    """Temperature and calibration error."""
    return anew.answers.metrics()


def of_doubt(anew: Anew) -> dict[str, float]:
    """From when on answers are unsure and sound is foreign, and how many are."""
    return anew.doubts.metrics()


def of_baseline(anew: Anew) -> dict[str, float]:
    """The statistics baseline, fitted anew, where the run has compared itself with it."""
    if BASELINE not in anew.facts.metrics:
        return {}
    rival = baseline_predictions(anew.facts.options, anew.corpus, anew.tracks)
    return gain_over_baseline(anew.answers.predictions, rival)


def of_folds(anew: Anew) -> dict[str, float]:
    """What the folds after a refit say of the recipe, where there are any."""
    if anew.pooled is None:
        return {}
    return figures_of_folds(anew.pooled, anew.facts.options.model.aggregate)


FIGURES: tuple[Callable[[Anew], dict[str, float]], ...] = (
    of_splits, of_calibration, of_doubt, of_baseline, of_folds,
)  # fmt: skip


def figures_now(anew: Anew) -> dict[str, float]:
    """All figures by the names of their metrics."""
    return {name: value for part in FIGURES for name, value in part(anew).items()}


def not_computed(facts: RunFacts, values: Mapping[str, float]) -> list[str]:
    """That there are figures of the end of a run that nothing here computes; empty for none."""
    names = [name for name in facts.metrics if name.startswith(OF_THE_END) and name not in values]
    return [", ".join(sorted(names))] if names else []


def found_otherwise(facts: RunFacts, music: MusicNow) -> list[Difference]:
    """Formats, and numbers of faults of each kind, that the scan finds otherwise now."""
    if music.differences or music.notes:  # then other numbers are no news
        return []
    now = {name: str(len(found)) for name, found in faults(music.corpus).items() if found}
    then = {name: str(len(found)) for name, found in facts.faults.items() if found}
    names = {**then, **now}
    found = [Difference(f"fault {name}", then.get(name, "0"), now.get(name, "0")) for name in names]
    found.append(Difference("formats", facts.tags.get("formats", ""), music.corpus.formats()))
    return [one for one in found if one.recorded != one.now]


def model_differences(subject: Subject, classifier: Classifier) -> list[Difference]:
    """That the weights are not those that were logged."""
    now = classifier.weights_digest
    same = now == subject.weights
    return [] if same else [Difference("digest of the weights", subject.weights, now)]


def expected_card(anew: Anew, values: Mapping[str, float], agreed: bool) -> str:
    """The card as it should be.

    Where what was recorded agrees with what is found, it is made of that, so that no rounding at
    the edge of a last digit tells them apart. `agreed`: whether all predictions do.
    """
    facts = anew.facts
    settled = {
        name: facts.metrics[name]
        for name, value in values.items()
        if name in facts.metrics and differences.agree(facts.metrics[name], value)
    }
    return model_card(
        replace(
            facts,
            predictions=facts.predictions if agreed else anew.answers.predictions,
            metrics={**facts.metrics, **values, **settled},
            tags={**facts.tags, CALIBRATION_TAG: believed(anew.answers, anew.doubts)},
        )
    )


def compare_card(subject: Subject, expected: str) -> tuple[int, list[Difference]]:
    """Lines of the run's card, and those that are not as expected, there and on its page."""
    run = subject.run
    with tempfile.TemporaryDirectory() as folder:
        card, page = (
            run.fetch(name, Path(folder)).read_text(encoding="utf-8")
            for name in (CARD_FILE, PAGE_FILE)
        )
    expected = same_explanations(expected, card)
    found = differences.lines(CARD_FILE, card.splitlines(), expected.splitlines())
    title = subject.facts.options.model.model_name
    words = words_of(card_page(run, expected, title))
    found += differences.words(PAGE_FILE, words_of(page), words)
    return len(card.splitlines()), found
