"""pyproject.toml, the lock, conda.yaml and MLproject say the same."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from genre_mlflow.cli.main import main
from genre_mlflow.cli.mlproject import PROCS, mlproject
from genre_mlflow.training.recipes import RECIPES
from search.cli import search

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([\w.-]+)==([\w.+]+)(?: ; (.*?))? \\$", re.MULTILINE)


def lock_versions() -> dict[str, str]:
    """Versions for the Python of conda.yaml, where they depend on it."""
    pins = PIN.findall((ROOT / "requirements.lock").read_text())
    return {name: version for name, version, marker in pins if ">= '3.12'" not in marker}


def conda() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "conda.yaml").read_text())


def conda_pins() -> dict[str, str]:
    (pip,) = (entry["pip"] for entry in conda()["dependencies"] if isinstance(entry, dict))
    return dict(line.split("==") for line in pip)


def entry_point(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"][name]


def options_of(command: click.Command) -> dict[str, click.Option]:
    return {p.name: p for p in command.params if isinstance(p, click.Option) and p.name}


TRAIN = main.commands["train"]
TORCHRUN, ONE = "python -m genre_mlflow.cli.torchrun {procs} train", {"type": "float", "default": 1}
COMMANDS = {"main": TRAIN, "plain": TRAIN, "best": TRAIN, "search": search}


def test_conda_holds_the_dependencies_in_the_versions_of_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.match(r"[\w.-]+", line).group() for line in project["dependencies"]}
    lock = lock_versions()
    assert conda_pins() == {name: lock[name] for name in names}


def test_python_of_conda_is_the_oldest_that_is_supported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"python={project['requires-python'][2:6]}" in conda()["dependencies"]


def test_lock_has_hashes_and_names_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert lock.count("--hash=sha256:") > len(PIN.findall(lock))
    assert "://" not in lock


def test_mlproject_is_what_the_options_make_of_it() -> None:
    assert (ROOT / "MLproject").read_text() == mlproject(), "run `make mlproject`"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_parameter_of_mlproject_is_passed_on_and_parses_as_its_default(name: str) -> None:
    entry, options = entry_point(name), options_of(COMMANDS[name])
    procs = entry["parameters"].pop(PROCS, None)
    assert (procs == ONE) == (COMMANDS[name] is TRAIN) == (TORCHRUN in entry["command"])
    passed = dict(zip(*[iter(shlex.split(entry["command"])[-2 * len(entry["parameters"]) :])] * 2,
                      strict=True))  # fmt: skip
    assert passed == {f"--{key.replace('_', '-')}": f"{{{key}}}" for key in entry["parameters"]}
    assert set(options) - set(entry["parameters"]) == {"experiment"}  # that is `mlflow run`'s own
    words = [f"{flag}={entry['parameters'][v[1:-1]]['default']}" for flag, v in passed.items()]
    given = COMMANDS[name].make_context(name, words).params
    default = COMMANDS[name].make_context(name, []).params
    recipe = {"recipe": name, **RECIPES[name]} if name in RECIPES else {}
    expected = {key: value for key, value in (default | recipe).items() if key != "enqueue"}
    assert {key: value for key, value in given.items() if key != "enqueue"} == expected


@pytest.mark.parametrize("name", ["allow_leak", "remove_border"])
def test_switches_take_a_value_or_stand_alone(name: str) -> None:
    flag = f"--{name.replace('_', '-')}"
    train = main.commands["train"]
    for words, value in (([flag], True), ([flag, "true"], True), ([flag, "false"], False)):
        context = train.make_context("train", [*words, "--seed", "1"])
        assert context.params[name] is value
        assert context.params["seed"] == 1
