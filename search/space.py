"""A search space: read, checked, and turned into settings, grids and training options."""

import json
import math
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from genre_mlflow.errors import SettingsError, StudyError
from genre_mlflow.options import TrainOptions, as_text
from search.distributions import (
    Value,
    as_written,
    ends,
    grid,
    in_words,
    make_distribution,
    nearest,
    suggest,
)
from search.spaces import SPACES

if TYPE_CHECKING:
    from optuna import Trial

    from search.distributions import Distribution

SEARCHABLE = (
    "dropout", "lr", "weight_decay", "batch_size", "schedule", "class_weights",
    "widths", "convs_per_block", "head_width",
)  # fmt: skip
DEFAULTS = {name: TrainOptions().flat()[name] for name in SEARCHABLE}


@dataclass(frozen=True)
class Space:
    """What is searched: Optuna's distributions, by the flat names of the training options."""

    name: str
    parameters: "Mapping[str, Distribution]"

    def suggest(self, trial: "Trial") -> dict[str, Any]:
        """A setting from a trial, as flat training options."""
        return self.options({n: suggest(trial, n, p) for n, p in self.parameters.items()})

    def options(self, setting: Mapping[str, Value]) -> dict[str, Any]:
        """A setting or a part of one as flat training options."""
        return {name: to_option(name, value) for name, value in setting.items()}

    def nearest(self, options: TrainOptions) -> dict[str, Value]:
        """The setting of `options`, moved into the space where it lies outside."""
        flat = options.flat()
        return {n: nearest(p, to_value(n, flat[n])) for n, p in self.parameters.items()}

    def ends(self) -> list[dict[str, Any]]:
        """Each choice and each end of a range as a training option, to be checked."""
        return [self.options({n: value}) for n, p in self.parameters.items() for value in ends(p)]

    def grid(self) -> list[dict[str, Value]]:
        """Every combination of the values of every parameter's own grid."""
        columns = [grid(p) for p in self.parameters.values()]
        return [dict(zip(self.parameters, row, strict=True)) for row in product(*columns)]

    def texts(self) -> dict[str, str]:
        """Each parameter for people."""
        return {name: in_words(p) for name, p in self.parameters.items()}

    def plain(self) -> dict[str, Any]:
        """The space as it stands in a file; two spaces are the same where these are."""
        return {name: as_written(p) for name, p in self.parameters.items()}

    def parse(self, text: str) -> dict[str, Value]:
        """A setting or a part of one, as `lr=0.002 dropout=0.3`. Raises `SettingsError`."""
        setting: dict[str, Value] = {}
        for word in text.split():
            name, sign, value = word.partition("=")
            if not sign or name not in self.parameters:
                raise SettingsError(
                    f"--enqueue has {word!r}; allowed are NAME=VALUE words with the names "
                    f"{', '.join(self.parameters)}"
                )
            setting[name] = parse_value(name, value, self.parameters[name])
        return setting


def parse_value(name: str, text: str, values: "Distribution") -> Value:
    """One value of a setting, which must lie in the space. Raises `SettingsError`."""
    kind = kind_of(name)
    try:
        value = kind(text)
    except ValueError as error:
        raise SettingsError(f"--enqueue has {name}={text}; that is no {kind.__name__}") from error
    inside = nearest(values, value)
    same = math.isclose(value, inside, rel_tol=1e-9) if kind is float else value == inside
    if not same:
        raise SettingsError(
            f"--enqueue has {name}={text}, outside of the space: {in_words(values)}"
        )
    return inside


def kind_of(name: str) -> type:
    """Type of an option's values in the space."""
    return type(to_value(name, DEFAULTS[name]))


def to_option(name: str, value: Value) -> Any:
    """A value of the space as a training option; widths are `16,32,64` in the space."""
    if not isinstance(DEFAULTS[name], tuple):
        return value
    try:
        return tuple(int(part) for part in str(value).split(","))
    except ValueError as error:
        raise SettingsError(
            f"{name} has {value!r}, which is no list of whole numbers such as 8,16"
        ) from error


def to_value(name: str, option: Any) -> Value:
    """A training option as a value of the space."""
    return as_text(option) if isinstance(DEFAULTS[name], tuple) else option


def load_space(where: str) -> Space:
    """The space `small` or `full`, or one from a YAML or Python file. Raises `StudyError`."""
    if where in SPACES:
        return make_space(where, SPACES[where], f"space {where}")
    path = Path(where)
    if path.suffix.lower() not in (".yaml", ".yml", ".py"):
        raise StudyError(
            f"--space is {where!r}; allowed are {', '.join(SPACES)} and files that end in .yaml, "
            ".yml or .py"
        )
    if not path.is_file():
        raise StudyError(f"the space file {where} does not exist")
    return make_space(path.stem, read_file(path), str(path))


def read_file(path: Path) -> Any:
    """What a space file says: the YAML itself, or `SPACE` of a Python file."""
    if path.suffix.lower() == ".py":
        try:
            found = runpy.run_path(str(path))
        except Exception as error:  # whatever the user's code raises
            raise StudyError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
        if "SPACE" not in found:
            raise StudyError(
                f"{path} defines no SPACE, a dictionary like those in search/spaces.py"
            )
        return found["SPACE"]
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise StudyError(f"{path} is no YAML: {text}") from error


def make_space(name: str, raw: Any, where: str) -> Space:
    """Check a space from a file; `where` names it in errors. Raises `StudyError`."""
    if not isinstance(raw, Mapping) or not raw:
        raise StudyError(f"{where} holds no parameters; needed is NAME: {{low: .., high: ..}}")
    unknown = ", ".join(str(key) for key in raw if key not in SEARCHABLE)
    if unknown:
        allowed = ", ".join(SEARCHABLE)
        raise StudyError(f"{where} has the unknown name {unknown}; allowed are {allowed}")
    try:
        parameters = {key: make_distribution(key, kind_of(key), raw[key]) for key in sorted(raw)}
        space = Space(name, parameters)
        for option in space.ends():
            TrainOptions.from_flat(option)
    except SettingsError as error:
        raise StudyError(f"{where}: {error}") from error
    return space


def canonical(plain: Any) -> str:
    """The same text for the same content."""
    return json.dumps(plain, sort_keys=True)
