"""Every option of a training run in one place, nested for the code and flat for people."""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from genre_mlflow.corpus.settings import DEMO, ON_PROBLEM, SplitSettings
from genre_mlflow.errors import SettingsError
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.settings import AGGREGATIONS, NetworkSettings
from genre_mlflow.training.settings import TrainingSettings

FORBIDDEN_IN_NAMES = "/:'\""  # MLflow's addresses and search filters cannot hold them
FLAT_NAMES = {("split", "seed"): "split_seed"}  # where a field's own name is taken


@dataclass(frozen=True)
class TrainOptions:
    """What is trained, on what and where. `flat` gives the names of the command line."""

    data: str = DEMO
    on_bad_file: str = "error"
    split: SplitSettings = field(default_factory=SplitSettings)
    preprocessing: PreprocessingSettings = field(default_factory=PreprocessingSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    aggregate: str = AGGREGATIONS[0]
    device: str = "auto"
    model_name: str = "genre-classifier"

    def __post_init__(self) -> None:
        if self.on_bad_file not in ON_PROBLEM:
            allowed = ", ".join(ON_PROBLEM)
            raise SettingsError(f"on_bad_file is {self.on_bad_file!r}; allowed are {allowed}")
        if self.aggregate not in AGGREGATIONS:
            raise SettingsError(
                f"aggregate is {self.aggregate!r}; allowed are {', '.join(AGGREGATIONS)}"
            )
        if not self.data:
            raise SettingsError("data is empty; give a folder with a folder per genre, or 'demo'")
        if not self.model_name or any(c in self.model_name for c in FORBIDDEN_IN_NAMES):
            raise SettingsError(
                f"model_name is {self.model_name!r}; allowed are names without "
                f"{' '.join(FORBIDDEN_IN_NAMES)}"
            )

    def flat(self) -> dict[str, Any]:
        """Every option by its name on the command line, with underscores."""
        values: dict[str, Any] = {}
        for name, group, attribute in flat_fields():
            owner = getattr(self, group) if group else self
            values[name] = getattr(owner, attribute)
        return values

    @classmethod
    def from_flat(cls, values: dict[str, Any]) -> Self:
        """Undo `flat`; a name that is missing takes its default.

        Raises `SettingsError` for a value out of range.
        """
        grouped: dict[str, dict[str, Any]] = {group: {} for group in groups()}
        own: dict[str, Any] = {}
        for name, group, attribute in flat_fields():
            if name in values:
                (grouped[group] if group else own)[attribute] = values[name]
        return cls(**own, **{group: kind(**grouped[group]) for group, kind in groups().items()})

    def with_absolute_paths(self) -> Self:
        """The same, whatever the working folder of those who read it later."""
        values = self.flat()
        for name in ("data", "split_dir"):
            if values[name] and values[name] != DEMO:
                values[name] = str(Path(values[name]).absolute())
        return self.from_flat(values)


def groups() -> dict[str, type]:
    """The nested settings by the name of their field."""
    return {
        "split": SplitSettings,
        "preprocessing": PreprocessingSettings,
        "network": NetworkSettings,
        "training": TrainingSettings,
    }


def flat_fields() -> list[tuple[str, str, str]]:
    """(name on the command line, nested group or empty, name of the field) of every option."""
    own = [(f.name, "", f.name) for f in fields(TrainOptions) if f.name not in groups()]
    nested = [
        (FLAT_NAMES.get((group, f.name), f.name), group, f.name)
        for group, kind in groups().items()
        for f in fields(kind)
    ]
    return own + nested


def as_text(value: Any) -> str:
    """A value as it is written on the command line and in MLflow."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Options whose value differs, as (before, now); names that are in one alone do not count."""
    both = [name for name in new if name in old]
    pairs = {name: (as_text(old[name]), as_text(new[name])) for name in both}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def to_json(values: dict[str, Any]) -> str:
    """Readable JSON with sorted keys."""
    return json.dumps(values, indent=2, sort_keys=True) + "\n"


CHAMPION_URI = f"models:/{TrainOptions().model_name}@champion"  # served unless told otherwise
