"""The model card (Mitchell et al. 2019, arXiv:1810.03993): what a model is and is worth.

It is made of what the run holds, so that it can be made again when the run holds more.
"""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from genre_mlflow.errors import ModelError
from genre_mlflow.jobs.card.corpus import data
from genre_mlflow.jobs.card.facts import RunFacts, facts_of, find_run
from genre_mlflow.jobs.card.markup import pictures_in
from genre_mlflow.jobs.card.metadata import front_matter
from genre_mlflow.jobs.card.page import page
from genre_mlflow.jobs.card.results import by_genre, calibration, confusion, results
from genre_mlflow.jobs.card.training import again, training
from genre_mlflow.jobs.card.use import (
    doubts,
    explanations,
    input_and_output,
    introduction,
    limits,
    use,
)
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.store import find_store, store_errors

CARD_FILE, PAGE_FILE = "model_card.md", "model_card.html"
Section = Callable[[RunFacts], list[str]]  # lines of Markdown; none where there is nothing to say
SECTIONS: tuple[Section, ...] = (
    front_matter, introduction, results, by_genre, confusion, calibration, explanations, data,
    input_and_output, doubts, use, training, limits, again,
)  # fmt: skip


def model_card(facts: RunFacts) -> str:
    """The card in Markdown."""
    parts = ["\n".join(section(facts)) for section in SECTIONS]
    return "\n\n".join(part for part in parts if part) + "\n"


def log_card(run: TrackedRun) -> tuple[str, str]:
    """Make the card of a run from what it holds now, log it as Markdown and page; return both."""
    facts = facts_of(run)
    card = model_card(facts)
    return card, log_pages(run, card, facts.options.model.model_name)


def log_pages(run: TrackedRun, card: str, title: str) -> str:
    """Log a card as Markdown and as a page; return the page."""
    text = card_page(run, card, title)
    with run.folder() as folder:
        (folder / CARD_FILE).write_text(card, encoding="utf-8")
        (folder / PAGE_FILE).write_text(text, encoding="utf-8")
    return text


def make_card(address: str) -> tuple[str, str, str]:
    """Make the card of a run, or of the run of a model, again; its id, the Markdown, the page.

    Raises `ModelError` where there is no training with a model.
    """
    find_store()
    with store_errors():
        run = find_run(address)
        return run.id, *log_card(run)


def card_page(run: TrackedRun, card: str, title: str) -> str:
    """The page of a card, with the pictures that the run has."""
    pictures = {}
    with tempfile.TemporaryDirectory() as folder:
        for address, path in pictures_in(card).items():
            with suppress(ModelError):  # it was deleted; its words stand in its place
                pictures[address] = run.fetch(path, Path(folder)).read_bytes()
    return page(card, title, pictures)
