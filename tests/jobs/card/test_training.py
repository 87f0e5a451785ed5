"""The printed command gives the very options of the run."""

import shlex
from pathlib import Path

import pytest
from support import SMALL

from genre_mlflow.cli.main import main
from genre_mlflow.cli.options import train_options
from genre_mlflow.jobs.card.training import train_command
from genre_mlflow.options import TrainOptions


def options_of(command: str) -> tuple[TrainOptions, str]:
    """What the command line makes of a command."""
    program, name, *words = shlex.split(command)
    assert (program, name) == ("genre-mlflow", "train")
    context = main.commands["train"].make_context("train", words)
    values = dict(context.params)
    experiment = values.pop("experiment")
    values.pop("resume")
    return train_options(context, values), experiment


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"data": "my music/it's *.png", "groups": "g.csv", "group_by": "artist"},
        {"data": "/a", "lr": 0.0012345678901234567, "widths": (8, 16), "allow_leak": True},
        {"recipe": "best"},
        {"recipe": "best", "refit": False},
        {"recipe": "plain", "epochs": 40},
        {"recipe": "plain", "mixup": 0.3, "dropout": 0.1},
        {"network": "statistics", "kinds": "wide"},
        {"network": "musicnn", "features": "musicnn"},
        {"network": "resnet18", "colours": "kept", "data_licence": "CC-BY 4.0; ask me"},
        {"ensemble": 3, "distil": True, "refit": True, "model_name": "-odd name"},
        SMALL,
    ],
)
def test_the_command_of_a_card_has_the_options_of_its_run(values: dict[str, object]) -> None:
    options = TrainOptions.from_flat(values)
    given, experiment = options_of(train_command(options, "it's mine"))
    assert given == options.with_absolute_paths()
    assert experiment == "it's mine"


def test_what_is_not_changed_is_not_written() -> None:
    command = train_command(TrainOptions.from_flat({"data": "music", "seed": 3}), "e")
    data = Path("music").absolute()
    assert command == f"genre-mlflow train --data {data} --seed 3 --experiment e"
