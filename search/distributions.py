"""What is searched for one option: Optuna's distributions, and what these cannot do."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genre_mlflow.errors import SettingsError
from genre_mlflow.settings import as_text

if TYPE_CHECKING:  # importing it takes a second, which no help should
    from optuna import Trial
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    Range = FloatDistribution | IntDistribution
    Distribution = Range | CategoricalDistribution

GRID_POINTS = 5  # of a range without a step, ends included
RANGE_KEYS = {"low", "high", "log", "step"}

Value = Any  # text or a number, of one kind for all values of an option


def make_distribution(name: str, kind: type, raw: Any) -> "Distribution":
    """Check a list or a range from a file, of values of one kind. Raises `SettingsError`."""
    if isinstance(raw, list | tuple):
        return make_choice(name, kind, raw)
    if isinstance(raw, Mapping) and {"low", "high"} <= raw.keys() <= RANGE_KEYS:
        return make_range(name, kind, **{key: as_number(value) for key, value in raw.items()})
    raise SettingsError(
        f"{name} is {raw!r}; allowed are a list of values, or low and high with log or step"
    )


def make_choice(name: str, kind: type, raw: Sequence[Any]) -> "CategoricalDistribution":
    """One of a few values. Raises `SettingsError`."""
    from optuna.distributions import CategoricalDistribution

    values = [as_text(value) if isinstance(value, list | tuple) else value for value in raw]
    if kind is float:
        values = [float(v) if type(v) is int else v for v in map(as_number, values)]
    if not values:
        raise SettingsError(f"{name} is an empty list")
    for value in values:
        if type(value) is not kind:
            raise SettingsError(f"{name} has {value!r}, which is no {kind.__name__}")
    if len(set(values)) < len(values):
        raise SettingsError(f"{name} has a value twice: {', '.join(map(str, values))}")
    return CategoricalDistribution(values)


def make_range(
    name: str, kind: type, low: Any, high: Any, log: Any = False, step: Any = None
) -> "Range":
    """A range that holds more than one number. Raises `SettingsError`."""
    from optuna.distributions import FloatDistribution, IntDistribution

    if kind not in (int, float):
        raise SettingsError(f"{name} is no number; give a list of values")
    numbers = {"low": low, "high": high} | ({} if step is None else {"step": step})
    for key, value in numbers.items():
        if type(value) not in (int, float) or not math.isfinite(value):
            raise SettingsError(f"{key} of {name} is {value!r}, which is no number")
    if not isinstance(log, bool):
        raise SettingsError(f"log of {name} is {log!r}; allowed are true and false")
    if low >= high:
        raise SettingsError(f"{name} has an empty range, {low} to {high}; low must be less")
    if log and low <= 0:
        raise SettingsError(f"{name} is a log range from {low}; low must be above 0")
    if kind is int and any(value != int(value) for value in numbers.values()):
        raise SettingsError(f"{name} is a whole number, its range is {low} to {high}")
    if step is not None:  # Optuna counts in decimals, and warns of an end that no step leads to
        low, high, step = (rounded(number) for number in (low, high, step))
        width = rounded(high - low)
        if log or not 0 < step <= width:
            raise SettingsError(
                f"{name} has the step {step:g}; allowed are steps above 0 up to {width:g}, and "
                "none in a log range"
            )
        high = rounded(low + math.floor(width / step + 1e-9) * step, digits=15)
    if kind is int:
        return IntDistribution(int(low), int(high), log, int(step or 1))
    return FloatDistribution(low, high, log, step)


def as_number(value: Any) -> Any:
    """A number where the value is one; YAML takes `1e-4`, which has no point, for text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def rounded(number: float, digits: int = 12) -> float:
    """The number of so many digits that lies nearest: 0.3 for 0.1 + 0.2."""
    return float(f"{number:.{digits}g}")


def suggest(trial: "Trial", name: str, values: "Distribution") -> Value:
    """A value from a trial."""
    if hasattr(values, "choices"):
        return trial.suggest_categorical(name, values.choices)
    suggest_number = trial.suggest_int if is_whole(values) else trial.suggest_float
    return suggest_number(name, **vars(values))  # low, high, step and log


def ends(values: "Distribution") -> tuple[Value, ...]:
    """All choices, or the extremes of a range, to be checked."""
    return values.choices if hasattr(values, "choices") else (values.low, values.high)


def nearest(values: "Distribution", value: Value) -> Value:
    """`value`, or the end or the step of a range that lies nearest to it, or the first choice."""
    if hasattr(values, "choices"):
        return value if value in values.choices else values.choices[0]
    number = min(max(values.low, float(value)), values.high)  # in this order: NaN becomes `low`
    if values.step:
        number = values.low + round((number - values.low) / values.step) * values.step
        number = min(number, values.high)  # of 0.05 three are more than 0.15
    return round(number) if is_whole(values) else number


def grid(values: "Distribution") -> list[Value]:
    """All choices or steps, or `GRID_POINTS` values that divide a range evenly."""
    if hasattr(values, "choices"):
        return list(values.choices)
    low, high, step = values.low, values.high, step_of(values)
    parts = [place / (GRID_POINTS - 1) for place in range(GRID_POINTS)]
    if step:
        found = [low + place * step for place in range(round((high - low) / step) + 1)]
    elif values.log:
        found = [low * (high / low) ** part for part in parts]
    else:
        found = [low + (high - low) * part for part in parts]
    inside = [min(max(number, low), high) for number in found]
    return sorted({round(number) if is_whole(values) else number for number in inside})


def in_words(values: "Distribution") -> str:
    """For people."""
    if hasattr(values, "choices"):
        return " | ".join(as_text(value) for value in values.choices)
    step = step_of(values)
    extra = " (log)" if values.log else f" in steps of {step:g}" if step else ""
    return f"{values.low:g} to {values.high:g}{extra}"


def as_written(values: "Distribution") -> Any:
    """As it stands in a file and is recorded in a study, the numbers of all ranges as floats."""
    if hasattr(values, "choices"):
        return list(values.choices)
    found: dict[str, Any] = {"low": float(values.low), "high": float(values.high)}
    step = step_of(values)
    return found | ({"log": True} if values.log else {}) | ({"step": float(step)} if step else {})


def is_whole(numbers: "Range") -> bool:
    """Whether a range holds whole numbers alone."""
    return isinstance(numbers.low, int)


def step_of(numbers: "Range") -> float | None:
    """The step, where it says something: Optuna gives all ranges of whole numbers one of 1."""
    return None if is_whole(numbers) and numbers.step == 1 else numbers.step
