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
from genre_mlflow.model.networks import NETWORKS, family
from genre_mlflow.options import TrainOptions, declared
from genre_mlflow.settings import as_text
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

SEARCHABLE = tuple(name for name, one in declared().items() if one.option.searchable)
DEFAULTS = {name: declared()[name].default for name in SEARCHABLE}
NETWORK = "network"  # the option that decides which others there are


@dataclass(frozen=True)
class Space:
    """What is searched: Optuna's distributions, by the flat names of the training options."""

    name: str
    parameters: "Mapping[str, Distribution]"

    def suggest(self, trial: "Trial", options: TrainOptions) -> dict[str, Any]:
        """A setting from a trial, as flat training options: those that its network has."""
        network = options.model.network
        if NETWORK in self.parameters:
            network = suggest(trial, NETWORK, self.parameters[NETWORK])
        setting = {n: suggest(trial, n, p) for n, p in self.of_network(network).items()}
        return self.options(setting)

    def of_network(self, network: str) -> "dict[str, Distribution]":
        """The parameters that mean something to this network."""
        known = TrainOptions.names(family(network))
        return {name: values for name, values in self.parameters.items() if name in known}

    def networks(self, options: TrainOptions) -> list[str]:
        """The networks that may be trained."""
        searched = self.parameters.get(NETWORK)
        return [options.model.network] if searched is None else list(ends(searched))

    def check(self, options: TrainOptions) -> None:
        """Refuse now what could not be trained with `options`.

        Raises `StudyError` for a parameter that no network has, and `SettingsError` for a value.
        """
        networks = self.networks(options)
        for network in networks:
            for name, values in self.of_network(network).items():
                for value in ends(values):
                    options.changed(**{NETWORK: network, **self.options({name: value})})
        useful = {name for network in networks for name in self.of_network(network)}
        lost = ", ".join(name for name in self.parameters if name not in useful)
        if lost:
            raise StudyError(
                f"space {self.name} searches {lost}, which network {', '.join(networks)} does not "
                "have"
            )

    def options(self, setting: Mapping[str, Value]) -> dict[str, Any]:
        """A setting or a part of one as flat training options."""
        return {name: to_option(name, value) for name, value in setting.items()}

    def nearest(self, options: TrainOptions) -> dict[str, Value]:
        """The setting of `options`, moved into the space where it lies outside."""
        network = options.model.network
        if NETWORK in self.parameters:
            network = nearest(self.parameters[NETWORK], network)
        flat = options.changed(network=network).flat()
        found = self.of_network(network)
        return {name: nearest(p, to_value(name, flat[name])) for name, p in found.items()}

    def grid(self, options: TrainOptions) -> list[dict[str, Value]]:
        """Every combination of the values of every parameter's own grid, network by network."""
        settings = []
        for network in self.networks(options):
            found = self.of_network(network)
            columns = [[network] if name == NETWORK else grid(p) for name, p in found.items()]
            settings += [dict(zip(found, row, strict=True)) for row in product(*columns)]
        return settings

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
        known = self.of_network(setting[NETWORK]) if NETWORK in setting else self.parameters
        for name in setting.keys() - known.keys():
            raise SettingsError(
                f"--enqueue has {name}, which network {setting[NETWORK]} does not have"
            )
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
        for key, values in parameters.items():
            network = next(n for n in NETWORKS if key in TrainOptions.names(family(n)))
            for value in ends(values):
                TrainOptions.from_flat({NETWORK: network, **space.options({key: value})})
    except SettingsError as error:
        raise StudyError(f"{where}: {error}") from error
    return space


def canonical(plain: Any) -> str:
    """The same text for the same content."""
    return json.dumps(plain, sort_keys=True)
