"""Settings: frozen dataclasses in whose fields an option stands once, with all that is said of it.

From a field come the check when the settings are made, the option of the command line, the line in
MLproject, the logged parameter and the check of a search space.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self, get_args, get_type_hints

from genre_mlflow.errors import SettingsError

OPTION = "option"  # key of an `Option` in a field's metadata


@dataclass(frozen=True)
class Option:
    """What is said of a field: its help, and what values are allowed.

    A number lies from `low` to `high`; `above` and `below` are ends that it must not reach. `unit`
    follows the range in an error. `searchable`: a search space may name it.
    """

    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    searchable: bool = False

    def allows(self, value: Any) -> bool:
        """Whether a value of the field's type is in range; each item of a tuple must be."""
        if isinstance(value, tuple):
            return bool(value) and all(self.allows(item) for item in value)
        if self.choices:
            return value in self.choices
        if isinstance(value, bool | str):
            return True
        return (
            (isinstance(value, int) or math.isfinite(value))
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def allowed(self) -> str:
        """The allowed values, in words: `1 to 8`, `values above 0 up to 10`, `mean, vote, max`."""
        if self.choices:
            return ", ".join(self.choices)
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None:
            start, to, but = as_text(self.low), "to", "to"
        else:
            start, to, but = f"values above {as_text(self.above)}", "up to", "and"
        if self.high is not None:
            return f"{start} {to} {as_text(self.high)}{unit}"
        if self.below is not None:
            return f"{start} {but} below {as_text(self.below)}{unit}"
        return f"{start}{unit} or more" if self.low is not None else f"finite {start}{unit}"


def option(default: Any, help: str, **more: Any) -> Any:
    """A field that is an option; `more` is of `Option`."""
    return field(default=default, metadata={OPTION: Option(help, **more)})


@dataclass(frozen=True)
class Settings:
    """Base of all settings: every option is checked when they are made.

    Raises `SettingsError`.
    """

    def __post_init__(self) -> None:
        known = options_of(type(self))
        for name, kind in kinds_of(type(self)).items():
            value = getattr(self, name)
            if isinstance(value, list):  # as JSON has a tuple
                value = tuple(value)
                object.__setattr__(self, name, value)
            check_kind(name, value, kind)
            if name in known and not known[name].allows(value):
                raise SettingsError(f"{name} is {value!r}; allowed are {known[name].allowed()}")

    @classmethod
    def from_saved(cls, values: Mapping[str, Any]) -> Self:
        """Settings from a file that has written them all down; no default of today fills a gap.

        Raises `SettingsError`.
        """
        own, saved = {one.name for one in fields(cls)}, set(values)
        if own != saved:
            lacking, unknown = sorted(own - saved), sorted(saved - own)
            raise SettingsError(
                f"settings are of another version: lacking are {', '.join(lacking) or 'none'}, "
                f"unknown {', '.join(unknown) or 'none'}"
            )
        return cls(**values)


def options_of(kind: type[Settings]) -> dict[str, Option]:
    """The options of a settings class by their names, in the order of its fields."""
    return {one.name: one.metadata[OPTION] for one in fields(kind) if OPTION in one.metadata}


def kinds_of(kind: type[Settings]) -> dict[str, Any]:
    """The types of a settings class's fields."""
    hints = get_type_hints(kind)
    return {one.name: hints[one.name] for one in fields(kind)}


def check_kind(name: str, value: Any, kind: Any) -> None:
    """Refuse a value of another type; a whole number will do for a float."""
    parts = get_args(kind)
    if parts:  # tuple[int, ...]
        fits = isinstance(value, tuple) and all(type(item) is parts[0] for item in value)
    elif kind is float:
        fits = type(value) in (int, float)
    else:
        fits = type(value) is kind
    if not fits:
        word = f"a list of {WORDS[parts[0]]}s" if parts else f"a {WORDS[kind]}"
        raise SettingsError(f"{name} is {value!r}; allowed is {word}")


WORDS = {int: "whole number", float: "number", str: "text", bool: "truth value"}


def as_text(value: Any) -> str:
    """A value as it is written on the command line and in MLflow."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
