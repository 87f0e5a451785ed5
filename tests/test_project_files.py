"""pyproject.toml, the lock, conda.yaml and MLproject say the same."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from genre_mlflow.cli import main

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


def entry_point() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]["main"]


def train_options() -> dict[str, click.Option]:
    train = main.commands["train"]
    return {p.name: p for p in train.params if isinstance(p, click.Option) and p.name}


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


def test_every_parameter_of_mlproject_is_passed_on_to_an_option_with_the_same_default() -> None:
    parameters = entry_point()["parameters"]
    options = train_options()
    command = shlex.split(entry_point()["command"])
    passed = dict(zip(command[4::2], command[5::2], strict=True))
    assert command[:4] == ["python", "-m", "genre_mlflow", "train"]
    assert passed == {f"--{name.replace('_', '-')}": f"{{{name}}}" for name in parameters}
    for name, parameter in parameters.items():
        assert str(parameter["default"]) == str(options[name].default), name


def test_only_the_experiment_is_left_to_mlflow_run() -> None:
    assert set(train_options()) - set(entry_point()["parameters"]) == {"experiment"}


@pytest.mark.parametrize("name", ["allow_leak", "remove_border"])
def test_switches_take_a_value_or_stand_alone(name: str) -> None:
    flag = f"--{name.replace('_', '-')}"
    train = main.commands["train"]
    for words, value in (([flag], True), ([flag, "true"], True), ([flag, "false"], False)):
        context = train.make_context("train", [*words, "--seed", "1"])
        assert context.params[name] is value
        assert context.params["seed"] == 1
