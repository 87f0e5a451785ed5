"""MLproject, written from the options of our commands: `make mlproject`."""

from typing import Any

import click

from genre_mlflow.cli.main import main
from genre_mlflow.settings import as_text
from genre_mlflow.training.recipes import BEST, PLAIN, RECIPES

HEAD = """# Written by `make mlproject` from the options of our commands.
name: genre-mlflow

conda_env: conda.yaml

entry_points:
"""
PROCS = "procs"  # how many processes train together, which is no option of the training
TRAIN = f"python -m genre_mlflow.cli.torchrun {{{PROCS}}} train", "train"
ENTRY_POINTS = {
    "main": TRAIN,
    PLAIN: TRAIN,
    BEST: TRAIN,
    "search": ("python -m search", "search"),
}
TYPES = {"integer": "float", "float": "float", "integer range": "float"}  # MLflow has no whole ones
MLFLOWS_OWN = {"experiment", "help"}  # `mlflow run` has an option of its own


def mlproject() -> str:
    """The text of MLproject."""
    context = click.Context(main)
    entries = []
    for name, (call, command_name) in ENTRY_POINTS.items():
        command = main.get_command(context, command_name)
        assert command is not None
        options = [p for p in command.params if p.name not in MLFLOWS_OWN and p.name]
        lines = [f"  {name}:", "    parameters:"]
        if command_name == TRAIN[1]:
            lines.append(f"      {PROCS}: {{type: float, default: 1}}")
        recipe = {"recipe": name, **RECIPES[name]} if name in RECIPES else {}
        defaults = {option.name: option.default for option in options} | recipe
        lines += [f"      {o.name}: {declaration(o, defaults[o.name])}" for o in options]
        lines += ["    command: >-", f"      {call}"]
        lines += [f"      {option.opts[0]} {{{option.name}}}" for option in options]
        entries.append("\n".join(lines))
    return HEAD + "\n".join(entries) + "\n"


def declaration(option: click.Parameter, default: Any) -> str:
    """Type and default of a parameter; an option that may be repeated is given an empty one."""
    default = "" if option.multiple else default
    kind = TYPES.get(option.type.name, "string")
    if kind == "float":
        return f"{{type: float, default: {float(default):g}}}"
    return f'{{type: string, default: "{as_text(default)}"}}'


if __name__ == "__main__":
    print(mlproject(), end="")
