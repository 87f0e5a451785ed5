"""MLproject, written from the options of our commands: `make mlproject`."""

from typing import Any

import click

from genre_mlflow.cli.main import main

HEAD = """# Written by `make mlproject` from the options of our commands.
name: genre-mlflow

conda_env: conda.yaml

entry_points:
"""
ENTRY_POINTS = {
    "main": ("python -m genre_mlflow train", "train"),
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
        lines += [f"      {option.name}: {declaration(option)}" for option in options]
        lines += ["    command: >-", f"      {call}"]
        lines += [f"      {option.opts[0]} {{{option.name}}}" for option in options]
        entries.append("\n".join(lines))
    return HEAD + "\n".join(entries) + "\n"


def declaration(option: click.Parameter) -> str:
    """Type and default of a parameter; an option that may be repeated is given an empty one."""
    default: Any = "" if option.multiple else option.default
    kind = TYPES.get(option.type.name, "string")
    if kind == "float":
        return f"{{type: float, default: {float(default):g}}}"
    return f'{{type: string, default: "{default}"}}'


if __name__ == "__main__":
    print(mlproject(), end="")
