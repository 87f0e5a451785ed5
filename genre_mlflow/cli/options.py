"""Options of the command line; those of training come from the settings that declare them."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from genre_mlflow.corpus.settings import SplitSettings
from genre_mlflow.errors import SettingsError
from genre_mlflow.features.settings import IMAGE_FIELDS, AugmentationSettings, PreprocessingSettings
from genre_mlflow.files.names import too_long
from genre_mlflow.model.settings import CHAMPION_URI
from genre_mlflow.options import Declared, TrainOptions, check_recipe, declared
from genre_mlflow.settings import Settings, as_text, kinds_of, options_of

EXPERIMENT = "genre-mlflow"

Decorator = Callable[[Any], Any]


class WholeNumbers(click.ParamType[tuple[int, ...]]):
    """A list such as `16,32,64`."""

    name = "N,N,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Whole numbers between commas."""
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            example = param.default if param else "16,32,64"
            self.fail(f"{value!r} is no list of whole numbers such as {example}")


def training_option(name: str) -> Decorator:
    """The option of this name, with the default, the type and the help of its declaration."""
    return declared_option(name, declared()[name])


def options_from(kind: type[Settings]) -> list[Decorator]:
    """The options of a command that a settings class declares."""
    kinds = kinds_of(kind)
    return [
        declared_option(name, Declared(one, getattr(kind(), name), kinds[name]))
        for name, one in options_of(kind).items()
    ]


def declared_option(name: str, one: Declared) -> Decorator:
    """An option as its declaration has it."""
    kind: Any = one.kind
    if one.option.choices:
        kind = click.Choice(one.option.choices)
    elif isinstance(one.default, tuple):
        kind = WholeNumbers()
    # `--allow-leak` stands alone, or takes a value, as MLproject must pass it.
    switch: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if kind is bool else {}
    return click.option(
        f"--{name.replace('_', '-')}",
        type=kind,
        default=as_text(one.default),
        show_default=True,
        help=one.option.help,
        **switch,
    )


TRAIN_OPTIONS = [training_option(name) for name in declared()]
SPLIT_OPTIONS = [training_option(name) for name in options_of(SplitSettings)]
BAD_FILE_OPTION = training_option("on_bad_file")
PREPROCESSING_OPTIONS = [training_option(name) for name in options_of(PreprocessingSettings)]
AUGMENTATION_OPTIONS = [training_option(name) for name in options_of(AugmentationSettings)]
RECORDING_OPTIONS = [
    training_option(n) for n in options_of(PreprocessingSettings) if n not in IMAGE_FIELDS
]
EXPERIMENT_OPTION = click.option(
    "--experiment", default=EXPERIMENT, show_default=True, envvar="MLFLOW_EXPERIMENT_NAME",
    help="MLflow experiment; inside `mlflow run` its own --experiment-name counts.",
)  # fmt: skip
MODEL_OPTION = click.option(
    "--model", default=CHAMPION_URI, show_default=True,
    help="models:/NAME@ALIAS, models:/NAME/VERSION, models:/MODEL_ID or a folder.",
)  # fmt: skip


def options(many: Iterable[Decorator]) -> Decorator:
    """Add options to a command, in the order of the list."""

    def add(command: Any) -> Any:
        for decorate in reversed(list(many)):
            command = decorate(command)
        return command

    return add


def is_given(ctx: click.Context, name: str) -> bool:
    """True for an option that stands on the command line or in the environment."""
    return ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


def train_options(ctx: click.Context, values: Mapping[str, Any]) -> TrainOptions:
    """The options of training; what is not given takes its default, or what the recipe says."""
    given = {name: value for name, value in values.items() if is_given(ctx, name)}
    check_recipe(given)
    return TrainOptions.from_flat(given)


def check_output(out: str, endings: tuple[str, ...], option: str = "--out") -> None:
    """Refuse a file that could not be written, before any work. Raises `SettingsError`."""
    if not out:
        return
    if Path(out).suffix.lower() not in endings:
        raise SettingsError(
            f"{option} is {out!r}; allowed are names that end in {' or '.join(endings)}"
        )
    if not os.path.isdir(Path(out).absolute().parent):
        raise SettingsError(f"{option} is {out!r}, but {Path(out).absolute().parent} is no folder")
    check_length(Path(out), f"{option} is {out!r}")


def check_length(path: Path, what: str) -> None:
    """Refuse a file that could not be written for its name. Raises `SettingsError`.

    `what`: the option that asks for it, with its value.
    """
    refused = too_long(path)
    if refused:
        raise SettingsError(f"{what}, {refused}, which is too long here; give a shorter one")
