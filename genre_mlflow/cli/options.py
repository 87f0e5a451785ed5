"""Options of the command line, each written once; names and defaults come from the settings."""

from collections.abc import Callable
from typing import Any

import click

from genre_mlflow.corpus.settings import ON_PROBLEM
from genre_mlflow.features.settings import FEATURES, LOUDNESS
from genre_mlflow.model.settings import AGGREGATIONS
from genre_mlflow.options import CHAMPION_URI, TrainOptions, as_text
from genre_mlflow.training.settings import CLASS_WEIGHTS, KEEP, SCHEDULES, SEGMENTS

EXPERIMENT = "genre-mlflow"
DEFAULTS = {name: as_text(value) for name, value in TrainOptions().flat().items()}


class Widths(click.ParamType[tuple[int, ...]]):
    """Channels of each block, as `16,32,64`."""

    name = "N,N,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Whole numbers between commas."""
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of whole numbers such as {DEFAULTS['widths']}")


def option(name: str, kind: Any, text: str) -> Callable[..., Any]:
    """A training option whose name and default come from `TrainOptions`."""
    flag = f"--{name.replace('_', '-')}"
    # `--allow-leak` stands alone, or takes a value, as MLproject must pass it.
    switch: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if kind is bool else {}
    return click.option(
        flag, type=kind, default=DEFAULTS[name], show_default=True, help=text, **switch
    )


SPLIT_OPTIONS = [
    option("split_dir", str, "Folder with train.txt, val.txt and test.txt of track ids."),
    option("val_fraction", float, "Share of the tracks to validate on, in a random split."),
    option("test_fraction", float, "Share of the tracks to test on, in a random split."),
    option("split_seed", int, "Seed of the random split."),
    option("on_missing", click.Choice(ON_PROBLEM), "What to do about listed ids without a file."),
    option("allow_leak", bool, "Train although copies of a track are in two splits."),
]
BAD_FILE_OPTION = option(
    "on_bad_file", click.Choice(ON_PROBLEM), "What to do about files that cannot be read."
)
IMAGE_OPTIONS = [
    option("image_size", int, "Height and width of the network's input, in pixels."),
    option("remove_border", bool, "Take off the uniform frame around a spectrogram."),
]
RECORDING_OPTIONS = [
    option("features", click.Choice(FEATURES), "What the images of recordings show."),
    option("segment_s", float, "Seconds of a recording in one image."),
    option("hop_s", float, "Seconds from one segment to the next; 0: --segment-s."),
    option(
        "loudness",
        click.Choice(LOUDNESS),
        "Scale recordings to one loudness; matters to almost silent ones, and to MFCCs.",
    ),
    option("n_fft", int, "Window of the spectrogram, in samples at 22,050 Hz."),
    option("hop_length", int, "Samples from one window to the next."),
    option("n_mels", int, "Mel bands."),
    option("fmin", float, "Lower edge of the lowest mel band, in Hz."),
    option("fmax", float, "Upper edge of the highest mel band, in Hz; 0: 11,025."),
    option("top_db", float, "Depth of the spectrogram, in dB below its loudest cell."),
]
TRAIN_OPTIONS = [
    option("data", str, "Folder with one folder of images or recordings a genre, or 'demo'."),
    BAD_FILE_OPTION,
    *SPLIT_OPTIONS,
    *IMAGE_OPTIONS,
    *RECORDING_OPTIONS,
    option("widths", Widths(), "Channels of each block of the network."),
    option("convs_per_block", int, "3x3 convolutions before each pooling."),
    option("head_width", int, "Units of the hidden fully connected layer."),
    option("dropout", float, "Dropout before each fully connected layer, 0 to below 1."),
    option("epochs", int, "Times that every track is trained on."),
    option("batch_size", int, "Tracks per step."),
    option("lr", float, "Learning rate of Adam, at its peak."),
    option("weight_decay", float, "L2 penalty of the weights."),
    option("schedule", click.Choice(SCHEDULES), "Course of the learning rate."),
    option("patience", int, "Stop after so many epochs without a better validation; 0: never."),
    option("class_weights", click.Choice(CLASS_WEIGHTS), "Weigh genres in the loss."),
    option("seed", int, "Seed of weights, order and dropout."),
    option("keep", click.Choice(KEEP), "Epochs whose weights are kept in MLflow."),
    option("segments", click.Choice(SEGMENTS), "Segments of a track that an epoch trains on."),
    option("aggregate", click.Choice(AGGREGATIONS), "How segments become one answer."),
    option("device", str, "auto (CUDA, then MPS, then CPU), or a torch device."),
    option("model_name", str, "Registered model to add a version to."),
]
EXPERIMENT_OPTION = click.option(
    "--experiment", default=EXPERIMENT, show_default=True, envvar="MLFLOW_EXPERIMENT_NAME",
    help="MLflow experiment; inside `mlflow run` its own --experiment-name counts.",
)  # fmt: skip
MODEL_OPTION = click.option(
    "--model", default=CHAMPION_URI, show_default=True,
    help="models:/NAME@ALIAS, models:/NAME/VERSION, models:/MODEL_ID or a folder.",
)  # fmt: skip


def options(many: list[Callable[..., Any]]) -> Callable[[Any], Any]:
    """Add options to a command, in the order of the list."""

    def add(command: Any) -> Any:
        for decorate in reversed(many):
            command = decorate(command)
        return command

    return add


def is_given(ctx: click.Context, name: str) -> bool:
    """True for an option that stands on the command line or in the environment."""
    return ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
