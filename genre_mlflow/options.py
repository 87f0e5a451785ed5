"""The settings of all rooms, composed: nested for the code, flat for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from genre_mlflow.corpus.settings import DEMO, CorpusSettings, SplitSettings
from genre_mlflow.errors import SettingsError
from genre_mlflow.evaluation.doubt_settings import DoubtSettings
from genre_mlflow.features.settings import AugmentationSettings, PreprocessingSettings
from genre_mlflow.model.family import Family
from genre_mlflow.model.networks import NETWORKS, family
from genre_mlflow.model.settings import ModelSettings
from genre_mlflow.settings import Option, Settings, as_text, kinds_of, options_of
from genre_mlflow.training.recipes import DEFAULT, RECIPES
from genre_mlflow.training.settings import TrainingSettings

ROOMS: dict[str, type[Settings]] = {
    "corpus": CorpusSettings,
    "split": SplitSettings,
    "preprocessing": PreprocessingSettings,
    "model": ModelSettings,
    "augmentation": AugmentationSettings,
    "training": TrainingSettings,
    "doubt": DoubtSettings,
}
AnySettings = TypeVar("AnySettings", bound=Settings)

FAMILY = "family"  # the field whose class depends on `model.network`


@dataclass(frozen=True)
class TrainOptions:
    """What is trained, on what and how; `flat` gives the names of the command line.

    Raises `SettingsError` for a network that cannot be built for these images.
    """

    corpus: CorpusSettings = field(default_factory=CorpusSettings)
    split: SplitSettings = field(default_factory=SplitSettings)
    preprocessing: PreprocessingSettings = field(default_factory=PreprocessingSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    family: Family = field(default_factory=family(ModelSettings().network))
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    doubt: DoubtSettings = field(default_factory=DoubtSettings)

    def __post_init__(self) -> None:
        if type(self.family) is not family(self.model.network):
            raise SettingsError(
                f"network is {self.model.network!r}, but its settings are those of "
                f"{type(self.family).__name__}"
            )
        self.family.check_pictures(self.preprocessing)
        self.family.check_input(self.preprocessing.shape)
        self.augmentation.check_input(self.preprocessing)
        if self.family.is_fitted and self.augmentation != AugmentationSettings():
            raise SettingsError(
                f"network {self.model.network} is fitted at once and learns nothing in epochs: "
                "leave the options of augmentation out"
            )
        if self.training.refit_folds and not self.training.refit:
            raise SettingsError(
                f"refit_folds is {self.training.refit_folds}, but nothing is trained again: give "
                "--refit too, or leave it out"
            )
        if self.training.distil and getattr(self.family, "ensemble", 1) < 2:
            raise SettingsError(
                f"distil needs several networks to learn from, but there is one {self.family}; "
                "give --ensemble 2 or more, which vgg and crnn have"
            )

    def flat(self) -> dict[str, Any]:
        """Every option by its name on the command line, with underscores."""
        values: dict[str, Any] = {}
        for part in fields(self):
            settings = getattr(self, part.name)
            values |= {name: getattr(settings, name) for name in options_of(type(settings))}
        return values

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> Self:
        """Undo `flat`; a name that is missing takes its default, or what the recipe says.

        Raises `SettingsError` for a value out of range, and for an option of another network
        that is not at its default: it would be lost.
        """
        network = part_of(ModelSettings, values).network
        said = said_by_recipe(values)
        values = {name: v for name, v in values.items() if name not in said or v != said[name]}
        check_strangers(network, values)
        own = TrainOptions.names(family(network))
        values = {**{name: value for name, value in said.items() if name in own}, **values}
        rooms: dict[str, Any] = {room: part_of(kind, values) for room, kind in ROOMS.items()}
        return cls(**rooms, family=part_of(family(network), values))

    @classmethod
    def from_saved(cls, values: Mapping[str, Any]) -> Self:
        """Options that have all been written down; no default of today fills a gap.

        Raises `SettingsError`.
        """
        network = family(values["network"]) if values.get("network") in NETWORKS else None
        if network is None or values.keys() != TrainOptions.names(network):
            raise SettingsError(
                "the options were recorded by another version of genre-mlflow, which had others; "
                "train anew"
            )
        return cls.from_flat(values)

    @staticmethod
    def names(network: type[Family]) -> set[str]:
        """The flat names of all options of a training with this network."""
        return {name for kind in (*ROOMS.values(), network) for name in options_of(kind)}

    def changed(self, **values: Any) -> Self:
        """The same but for these options, by their flat names; another network brings its own."""
        kept, network = self.flat(), part_of(ModelSettings, values).network
        if "network" in values and network != self.model.network:
            own = options_of(family(network))
            kept = {
                name: value for name, value in kept.items()
                if name in own or name not in options_of(type(self.family))
            }  # fmt: skip
        return self.from_flat({**kept, **values})

    def check_folders(self) -> None:
        """Say at once which folder or file is missing. Raises `DataError`."""
        self.corpus.check_folder()
        self.split.check_folder()
        self.family.check_files()

    def with_absolute_paths(self) -> Self:
        """The same, whatever the working folder of those who read it later."""
        dealing = self.split
        paths = {
            "data": self.corpus.data, "split_dir": dealing.split_dir, "groups": dealing.groups
        } | self.family.paths()  # fmt: skip
        absolute = {n: str(Path(p).absolute()) for n, p in paths.items() if p and p != DEMO}
        return self.changed(**absolute)


def part_of(kind: type[AnySettings], values: Mapping[str, Any]) -> AnySettings:
    """Settings of one room from the flat values of all; what is missing takes its default."""
    return kind(**{name: values[name] for name in options_of(kind) if name in values})


def said_by_recipe(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the recipe among `values` says of any network's options; nothing for an unknown one."""
    return RECIPES.get(values.get("recipe", DEFAULT), {})


def check_recipe(values: Mapping[str, Any]) -> None:
    """Refuse a recipe of which nothing is left where everything is given, as `mlflow run` does.

    Raises `SettingsError`.
    """
    said = said_by_recipe(values)
    everything = TrainOptions.names(family(part_of(ModelSettings, values).network))
    if not said or not everything <= values.keys():
        return
    as_said = [name for name, value in said.items() if as_text(values[name]) == as_text(value)]
    ordinary = said.keys() - off_default(values).keys()
    if len(ordinary) > len(as_said):
        raise SettingsError(
            f"recipe is {values['recipe']!r}, but its options are given, most as they are without "
            f"it; leave them out, or train with `mlflow run . -e {values['recipe']}`"
        )


class Declared(NamedTuple):
    """An option with its default and type, as a command line needs them."""

    option: Option
    default: Any
    kind: Any


@cache
def declared() -> dict[str, Declared]:
    """Every option of a training by its flat name; those of all networks among them."""
    kinds: list[type[Settings]] = []
    for part in fields(TrainOptions):
        kinds += [family(n) for n in NETWORKS] if part.name == FAMILY else [ROOMS[part.name]]
    return {
        name: Declared(one, getattr(kind(), name), kinds_of(kind)[name])
        for kind in kinds
        for name, one in options_of(kind).items()
    }


def off_default(values: Mapping[str, Any]) -> dict[str, str]:
    """The training options among `values` that are not at their defaults, as text."""
    defaults = {name: as_text(one.default) for name, one in declared().items()}
    texts = {name: as_text(value) for name, value in values.items() if name in defaults}
    return {name: text for name, text in texts.items() if text != defaults[name]}


def check_strangers(network: str, values: Mapping[str, Any]) -> None:
    """Refuse what another network's option would say to this one."""
    own = options_of(family(network))
    others = {name for n in NETWORKS for name in options_of(family(n))} - own.keys()
    for name, text in sorted(off_default(values).items()):
        if name in others:
            raise SettingsError(
                f"{name} is {text}, but network {network} has no such option; "
                f"its own are {', '.join(own) or 'none'}"
            )


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Options whose value differs, as (before, now); names that are in one alone do not count."""
    both = [name for name in new if name in old]
    pairs = {name: (as_text(old[name]), as_text(new[name])) for name in both}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
