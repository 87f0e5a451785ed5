"""Sections of the card about the training: its options, and the command that repeats it."""

import shlex
from typing import Any

from genre_mlflow.jobs.card.facts import ModelFacts, RunFacts
from genre_mlflow.jobs.card.markup import block, code, picture, plain
from genre_mlflow.options import ROOMS, TrainOptions, said_by_recipe
from genre_mlflow.settings import as_text, options_of

COMMIT_TAG = "mlflow.source.git.commit"  # MLflow's own
CURVES_PICTURE = "figures/learning_curves.png"
TRAIN_IT = "On the same data, with the same versions, this makes the model and its figures again:"
LATER = """{card} makes this card again, with what the run has got since; {verify} computes
every figure in it anew from the model and the data, and says which differ."""


def training(facts: RunFacts) -> list[str]:
    """How the network was trained, by what, and what it started from."""
    versions = ", ".join(f"{name} {number}" for name, number in sorted(facts.versions.items()))
    words = "Loss and accuracy of training and validation by epoch"
    return [
        *recipe(facts),
        "",
        f"On {plain(facts.device)}, by {plain(versions)}.",
        "",
        picture(CURVES_PICTURE, words),
    ]


def recipe(facts: ModelFacts) -> list[str]:
    """The options of the training, and what the network started from."""
    chosen = ", ".join(f"{k} {as_text(v)}" for k, v in training_options(facts.options).items())
    origin = facts.options.family.origin()
    return ["## Training", "", plain(chosen), *(["", origin] if origin else [])]


def training_options(options: TrainOptions) -> dict[str, object]:
    """Options of network and training alone."""
    settings = {**vars(options.family), **vars(options.augmentation), **vars(options.training)}
    return {"network": options.model.network, **settings}


def again(facts: RunFacts) -> list[str]:
    """Commands that repeat the training, make the card anew and check it."""
    commit = facts.tags.get(COMMIT_TAG, "")
    calls = {name: code(f"genre-mlflow {name} {facts.run_id}") for name in ("card", "verify")}
    return [
        "## Make it again",
        "",
        TRAIN_IT,
        "",
        *block(train_command(facts.options, facts.experiment), "sh"),
        "",
        *([f"It ran from commit {code(commit)}.", ""] if commit else []),
        LATER.format(**calls),
    ]


def train_command(options: TrainOptions, experiment: str) -> str:
    """The call of `train` with these options, each that the defaults or the recipe do not say."""
    words = ["genre-mlflow", "train"]
    for name, value in words_to_give(options).items():
        words += [f"--{name.replace('_', '-')}", exact(value)]
    return shlex.join([*words, "--experiment", experiment])


def words_to_give(options: TrainOptions) -> dict[str, Any]:
    """Options by name that must be given to have these; folders by their absolute paths."""
    flat = options.with_absolute_paths().flat()
    kinds = (*ROOMS.values(), type(options.family))
    defaults = {name: getattr(kind(), name) for kind in kinds for name in options_of(kind)}
    said = defaults | said_by_recipe(flat)
    return {name: value for name, value in flat.items() if value != said[name]}


def exact(value: Any) -> str:
    """A value for the command line with all its digits."""
    return repr(value) if isinstance(value, float) else as_text(value)
