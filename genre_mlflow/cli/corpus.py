"""Commands of the group `corpus` that draw: every recording as an image, or a sheet to look at."""

import shlex
import signal
import warnings
from pathlib import Path
from typing import Any

import click

from genre_mlflow.cli.base import USER_MISTAKE, interrupt
from genre_mlflow.cli.options import DEFAULTS, IMAGE_OPTIONS, RECORDING_OPTIONS, options
from genre_mlflow.files.names import check_output, printable
from genre_mlflow.options import TrainOptions, as_text


@click.command("render")
@click.argument("audio")
@click.argument("images")
@options(RECORDING_OPTIONS)
@click.option(
    "--workers", default=0, type=click.IntRange(min=0), help="Threads that draw; 0: one a core."
)
@click.pass_context
def render(ctx: click.Context, /, audio: str, images: str, workers: int, **values: Any) -> None:
    """Draw every recording below AUDIO as a PNG below IMAGES.

    The pixels are those that a model draws itself. A recording of several segments gives
    name.seg000.png, name.seg001.png, ..., which no split separates. What is there is left as it
    is, so that the same command goes on after a stop. Exit code 2 when a file is broken; the
    others are drawn all the same.
    """
    settings = TrainOptions.from_flat(values).preprocessing
    from genre_mlflow.cli.bars import Bar
    from genre_mlflow.corpus.rendering import overview, render_folder

    signal.signal(signal.SIGTERM, interrupt)
    with Bar() as bar:
        found = render_folder(
            Path(audio),
            Path(images),
            settings,
            workers,
            progress=lambda done, total: bar.move("drawing", done, total),
            on_bad_file=lambda file: bar.say(f"{printable(file.path)} {file.reason}"),
        )
    click.echo(overview(found))
    click.echo(f"  train on them  genre-mlflow train --data {shlex.quote(images)}{given(values)}")
    if found.bad_files:
        ctx.exit(USER_MISTAKE)


def given(values: dict[str, Any]) -> str:
    """Options that are not at their defaults, as they are written on the command line."""
    texts = {name: as_text(value) for name, value in values.items()}
    return "".join(
        f" --{name.replace('_', '-')} {text}"
        for name, text in texts.items()
        if text != DEFAULTS[name]
    )


@click.command("show")
@click.argument("folder")
@click.option("--out", required=True, metavar="FILE", help="PNG to write.")
@click.option(
    "--per-genre", default=3, show_default=True, type=click.IntRange(1, 20), help="Tracks a row."
)
@click.option(
    "--file", "path", default="", metavar="PATH",
    help="Draw this one alone, with its waveform and segments; PATH may begin at FOLDER.",
)  # fmt: skip
@options([*IMAGE_OPTIONS, *RECORDING_OPTIONS])
@click.pass_context
def show(
    ctx: click.Context, /, folder: str, out: str, per_genre: int, path: str, **values: Any
) -> None:
    """Draw what a network will see of FOLDER: a row for each genre.

    Left each track as it is, with axes in seconds and Hz, right what the preprocessor makes of
    it. Exit code 2 when a file is broken; the next one takes its place.
    """
    check_output(out, (".png",))
    settings = TrainOptions.from_flat(values).preprocessing
    from genre_mlflow.corpus.scan import BadFile
    from genre_mlflow.figures import sheets
    from genre_mlflow.figures.image import save_figure

    warnings.filterwarnings("ignore", message="Glyph")  # of scripts that the font lacks
    bad: list[BadFile] = []
    if path:
        figure = sheets.track_figure(sheets.find(folder, path), settings)
    else:
        figure, bad = sheets.genres_figure(folder, per_genre, settings)
    for file in bad:
        click.echo(f"{printable(file.path)} {file.reason}", err=True)
    save_figure(figure, Path(out), dpi=sheets.dpi(figure))
    click.echo(f"Sheet: {out}")
    if bad:
        ctx.exit(USER_MISTAKE)
