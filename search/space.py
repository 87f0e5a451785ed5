"""A search space: read, checked, and turned into suggestions, grids and training options."""

import json
import math
import runpy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import yaml

from genre_mlflow.errors import SettingsError, StudyError
from genre_mlflow.options import TrainOptions
from genre_mlflow.settings import as_text
from search.spaces import SPACES

SEARCHABLE = (
    "dropout", "lr", "weight_decay", "batch_size", "schedule", "class_weights",
    "widths", "convs_per_block", "head_width",
)  # fmt: skip
DEFAULTS = {name: TrainOptions().flat()[name] for name in SEARCHABLE}
GRID_POINTS = 5  # of a range without a step, ends included
RANGE_KEYS = {"low", "high", "log", "step"}

Value = str | int | float


class Suggester(Protocol):
    """What `suggest` needs of an Optuna trial."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        """A number from `low` to `high`."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """A whole number from `low` to `high`."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        ...


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones where `whole`."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    def suggest(self, trial: Suggester, name: str) -> Value:
        """A value from a trial."""
        if self.whole:
            step = int(self.step or 1)
            return trial.suggest_int(name, int(self.low), int(self.high), step=step, log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def nearest(self, value: Value) -> Value:
        """`value`, or the end of the range, or the step, that lies nearest to it."""
        number = min(max(float(value), self.low), self.high)
        if self.step:
            number = self.low + round((number - self.low) / self.step) * self.step
        return round(number) if self.whole else number

    def grid(self) -> list[Value]:
        """All steps, or `GRID_POINTS` values that divide the range evenly."""
        if self.step:
            count = round((self.high - self.low) / self.step) + 1
            values = [self.low + place * self.step for place in range(count)]
        elif self.log:
            factor = self.high / self.low
            values = [self.low * factor ** (i / (GRID_POINTS - 1)) for i in range(GRID_POINTS)]
        else:
            width = self.high - self.low
            values = [self.low + width * i / (GRID_POINTS - 1) for i in range(GRID_POINTS)]
        inside = [min(max(value, self.low), self.high) for value in values]
        return sorted({round(value) if self.whole else value for value in inside})

    def ends(self) -> list[Value]:
        """The extremes, to be checked."""
        return [int(v) if self.whole else v for v in (self.low, self.high)]

    def text(self) -> str:
        """For people."""
        extra = " (log)" if self.log else f" in steps of {self.step:g}" if self.step else ""
        return f"{self.low:g} to {self.high:g}{extra}"

    def plain(self) -> Any:
        """As it stands in a file."""
        found: dict[str, Any] = {"low": self.low, "high": self.high}
        return (
            found | ({"log": True} if self.log else {}) | ({"step": self.step} if self.step else {})
        )


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[Value, ...]

    def suggest(self, trial: Suggester, name: str) -> Value:
        """A value from a trial."""
        chosen: Value = trial.suggest_categorical(name, self.values)
        return chosen

    def nearest(self, value: Value) -> Value:
        """`value` if it may be chosen, else the first value."""
        return value if value in self.values else self.values[0]

    def grid(self) -> list[Value]:
        """All values."""
        return list(self.values)

    def ends(self) -> list[Value]:
        """All values, to be checked."""
        return list(self.values)

    def text(self) -> str:
        """For people."""
        return " | ".join(as_text(value) for value in self.values)

    def plain(self) -> Any:
        """As it stands in a file."""
        return list(self.values)


@dataclass(frozen=True)
class Space:
    """What is searched, by the flat names of the training options."""

    name: str
    parameters: Mapping[str, Range | Choice]

    def suggest(self, trial: Suggester) -> dict[str, Any]:
        """A setting from a trial, as flat training options."""
        return self.options({n: p.suggest(trial, n) for n, p in self.parameters.items()})

    def options(self, setting: Mapping[str, Value]) -> dict[str, Any]:
        """A setting or a part of one as flat training options."""
        return {name: to_option(name, value) for name, value in setting.items()}

    def nearest(self, options: TrainOptions) -> dict[str, Value]:
        """The setting of `options`, moved into the space where it lies outside."""
        flat = options.flat()
        return {n: p.nearest(to_value(n, flat[n])) for n, p in self.parameters.items()}

    def grid(self) -> list[dict[str, Value]]:
        """Every combination of the values of every parameter's own grid."""
        columns = [p.grid() for p in self.parameters.values()]
        return [dict(zip(self.parameters, row, strict=True)) for row in product(*columns)]

    def texts(self) -> dict[str, str]:
        """Each parameter for people."""
        return {name: p.text() for name, p in self.parameters.items()}

    def plain(self) -> dict[str, Any]:
        """The space as it stands in a file; two spaces are the same where these are."""
        return {name: p.plain() for name, p in self.parameters.items()}

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
            setting[name] = self.parse_value(name, value)
        return setting

    def parse_value(self, name: str, text: str) -> Value:
        """One value of a setting, which must lie in the space."""
        parameter = self.parameters[name]
        kind = type(to_value(name, DEFAULTS[name]))
        try:
            value: Value = kind(text)
        except ValueError as error:
            raise SettingsError(
                f"--enqueue has {name}={text}; that is no {kind.__name__}"
            ) from error
        nearest = parameter.nearest(value)
        same = value == nearest or (
            isinstance(nearest, float) and math.isclose(float(value), nearest, rel_tol=1e-9)
        )
        if not same:
            raise SettingsError(
                f"--enqueue has {name}={text}, outside of the space: {parameter.text()}"
            )
        return nearest


def to_option(name: str, value: Value) -> Any:
    """A value of the space as a training option; widths are `16,32,64` in the space."""
    if isinstance(DEFAULTS[name], tuple):
        return tuple(int(part) for part in str(value).split(","))
    return value


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
    unknown = [str(key) for key in raw if key not in SEARCHABLE]
    if unknown:
        raise StudyError(
            f"{where} has the unknown name {', '.join(unknown)}; allowed are "
            f"{', '.join(SEARCHABLE)}"
        )
    parameters = {key: make_parameter(key, raw[key], where) for key in sorted(raw)}
    for key, parameter in parameters.items():
        for value in parameter.ends():
            check_value(key, value, where)
    return Space(name, parameters)


def make_parameter(name: str, raw: Any, where: str) -> Range | Choice:
    """A range or a choice. Raises `StudyError`."""
    if isinstance(raw, list | tuple):
        values = tuple(as_text(v) if isinstance(v, list | tuple) else v for v in raw)
        if not values:
            raise StudyError(f"{where}: {name} is an empty list")
        kind = type(to_value(name, DEFAULTS[name]))
        if kind is float:
            values = tuple(float(v) if type(v) is int else v for v in map(as_number, values))
        if len(set(values)) < len(values):
            raise StudyError(f"{where}: {name} has a value twice: {', '.join(map(str, values))}")
        wrong = [v for v in values if type(v) is not kind]
        if wrong:
            raise StudyError(f"{where}: {name} has {wrong[0]!r}, which is no {kind.__name__}")
        return Choice(values)
    if not isinstance(raw, Mapping) or not {"low", "high"} <= raw.keys() <= RANGE_KEYS:
        raise StudyError(
            f"{where}: {name} is {raw!r}; allowed are a list of values, or low and high with log "
            "or step"
        )
    return make_range(name, raw, where)


def make_range(name: str, raw: Mapping[str, Any], where: str) -> Range:
    """A range that holds more than one number. Raises `StudyError`."""
    if not isinstance(DEFAULTS[name], int | float):
        raise StudyError(f"{where}: {name} is no number; give a list of values")
    raw = {key: as_number(value) for key, value in raw.items()}
    numbers = {key: raw[key] for key in ("low", "high", "step") if raw.get(key) is not None}
    for key, value in numbers.items():
        if type(value) not in (int, float) or not math.isfinite(value):
            raise StudyError(f"{where}: {key} of {name} is {value!r}, which is no number")
    low, high, step = raw["low"], raw["high"], raw.get("step")
    log, whole = raw.get("log", False), isinstance(DEFAULTS[name], int)
    if not isinstance(log, bool):
        raise StudyError(f"{where}: log of {name} is {log!r}; allowed are true and false")
    if low >= high:
        raise StudyError(f"{where}: {name} has an empty range, {low} to {high}; low must be less")
    if log and low <= 0:
        raise StudyError(f"{where}: {name} is a log range from {low}; low must be above 0")
    if step is not None and (log or not 0 < step <= high - low):
        raise StudyError(
            f"{where}: {name} has the step {step}; allowed are steps above 0 up to {high - low}, "
            "and none in a log range"
        )
    if whole and any(value != int(value) for value in numbers.values()):
        raise StudyError(f"{where}: {name} is a whole number, its range is {low} to {high}")
    if step is not None:  # the last step is the end
        high = round(low + math.floor((high - low) / step + 1e-9) * step, 12)
    return Range(float(low), float(high), log, None if step is None else float(step), whole)


def as_number(value: Any) -> Any:
    """A number where the value is one; YAML takes `1e-4`, which has no point, for text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def check_value(name: str, value: Value, where: str) -> None:
    """Whether training would take this value. Raises `StudyError`."""
    try:
        TrainOptions.from_flat({name: to_option(name, value)})
    except SettingsError as error:
        raise StudyError(f"{where}: {error}") from error
    except ValueError as error:
        raise StudyError(
            f"{where}: {name} has {value!r}, which is no list of whole numbers such as 8,16"
        ) from error


def canonical(plain: Any) -> str:
    """The same text for the same content."""
    return json.dumps(plain, sort_keys=True)
