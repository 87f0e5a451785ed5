"""The group `corpus`: what is in a folder of music, how it is drawn, and corpora that we make."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from genre_mlflow.cli.base import USER_MISTAKE, echo, speaking
from genre_mlflow.cli.options import (
    AUGMENTATION_OPTIONS,
    BAD_FILE_OPTION,
    PREPROCESSING_OPTIONS,
    RECORDING_OPTIONS,
    SPLIT_OPTIONS,
    check_output,
    is_given,
    options,
    training_option,
)
from genre_mlflow.corpus.folders import check_named, check_render
from genre_mlflow.corpus.settings import CorpusSettings, check_one_source
from genre_mlflow.errors import SettingsError
from genre_mlflow.features.settings import AugmentationSettings, PreprocessingSettings
from genre_mlflow.files.names import printable
from genre_mlflow.options import TrainOptions, off_default, part_of
from genre_mlflow.settings import options_of


@click.group()
def corpus() -> None:
    """Look at a folder of music, draw it, or make a corpus: the demo, the GTZAN."""


@corpus.command("scan")
@click.argument("folder")
@options([BAD_FILE_OPTION, *SPLIT_OPTIONS])
@click.option("--out", default="", metavar="FILE", help="Write the manifest as CSV.")
@click.option(
    "--faults", default="", metavar="FILE",
    help="Write all that is wrong or left out as JSON; of much, the first alone is printed.",
)  # fmt: skip
def corpus_scan(folder: str, out: str, faults: str, **values: Any) -> None:
    """Check and split FOLDER as training would, and print what is in it."""
    scan_options = TrainOptions.from_flat({**values, "data": folder})
    check_output(out, (".csv",))
    check_output(faults, (".json",), "--faults")
    scan_options.check_folders()
    from genre_mlflow.corpus import corpus as corpora
    from genre_mlflow.corpus.faults import BadFilesError

    try:
        found = corpora.open_corpus(scan_options.corpus, scan_options.split)
    except BadFilesError as error:
        write_faults(corpora.bad_files(error.files), faults)
        raise
    echo(corpora.overview(found))
    if corpora.is_cut(found) and not faults:
        echo("Give --faults FILE.json to have all of them written.")
    write_faults(corpora.faults(found), faults)
    if out:
        found.manifest.to_csv(out, index=False)
        echo(f"Manifest: {out}")


def write_faults(found: Mapping[str, Sequence[object]], file: str) -> None:
    """Write what was found wrong, where it is asked for."""
    from genre_mlflow.corpus import corpus as corpora

    if file:
        corpora.write_faults(found, Path(file))
        echo(f"Faults: {file}")


@corpus.command("demo")
@click.argument("folder")
def corpus_demo(folder: str) -> None:
    """Write the demo corpus, ten synthesised genres, into FOLDER."""
    check_named(folder, "FOLDER")
    from genre_mlflow.corpus.demo.images import make_demo

    echo(str(make_demo(Path(folder))))


@corpus.command("gtzan")
@click.argument("out")
@click.option("--source", default="", help="Folder or archive of the collection that you have.")
@click.option("--download", is_flag=True, help="Fetch it (1.2 GB), or the rest of it.")
@options([BAD_FILE_OPTION])
def corpus_gtzan(out: str, source: str, download: bool, on_bad_file: str) -> None:
    """Check the GTZAN collection and lay it out in OUT, with the filtered split.

    Files of a folder are linked, those of an archive (.zip, .tar.gz) extracted. Checked tracks
    that are in OUT stay, so that the command can be stopped and given again.
    """
    check_one_source(source, download)
    check_named(out, "OUT")
    from genre_mlflow.corpus.gtzan.collection import gtzan
    from genre_mlflow.corpus.gtzan.layout import prepare, summary

    with speaking():
        result = prepare(Path(out), gtzan(), source, download, on_bad_file)
    echo(summary(result))


@corpus.command("render")
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
    settings = part_of(PreprocessingSettings, values)
    check_named(audio, "AUDIO")
    check_named(images, "IMAGES")
    check_render(Path(audio), Path(images))
    from genre_mlflow.cli.bars import Bar
    from genre_mlflow.corpus.rendering import overview, render_folder

    with Bar() as bar:
        found = render_folder(
            Path(audio),
            Path(images),
            settings,
            workers,
            progress=lambda done, total: bar.move("drawing", done, total),
            on_bad_file=lambda file: bar.say(f"{printable(file.path)} {file.reason}"),
        )
    echo(overview(found))
    given = "".join(f" --{n.replace('_', '-')} {text}" for n, text in off_default(values).items())
    echo(f"  train on them  genre-mlflow train --data {shlex.quote(images)}{given}")
    if found.bad_files:
        ctx.exit(USER_MISTAKE)


@corpus.command("show")
@click.argument("folder")
@click.option("--out", required=True, metavar="FILE", help="PNG to write.")
@click.option(
    "--per-genre", default=3, show_default=True, type=click.IntRange(1, 20), help="Tracks a row."
)
@click.option(
    "--file", "path", default="", metavar="PATH",
    help="Draw this one alone, with its waveform and segments; PATH may begin at FOLDER.",
)  # fmt: skip
@click.option(
    "--augment",
    is_flag=True,
    help="Draw what is learnt from instead, as the options below change it.",
)
@options(PREPROCESSING_OPTIONS)
@options(AUGMENTATION_OPTIONS)
@training_option("seed")
@click.pass_context
def show(
    ctx: click.Context, /, folder: str, out: str, per_genre: int, path: str, augment: bool,
    **values: Any,
) -> None:  # fmt: skip
    """Draw what a network will see of FOLDER: a row for each genre.

    Left each track as it is, with axes in seconds and Hz, right what the preprocessor makes of
    it. With --augment the first track of each genre as the network gets it, and four times as it
    may be changed to be learnt from. Exit code 2 when a file is broken; the next one takes its
    place.
    """
    check_output(out, (".png",))
    settings = part_of(PreprocessingSettings, values)
    augmentation = part_of(AugmentationSettings, values)
    check_augment(augment, path or is_given(ctx, "per_genre"), augmentation)
    augmentation.check_input(settings)
    CorpusSettings(data=folder).check_folder()
    from genre_mlflow.corpus.faults import bad_lines
    from genre_mlflow.corpus.folders import BadFile
    from genre_mlflow.features.muting import muted_decoders
    from genre_mlflow.figures import sheets
    from genre_mlflow.figures.image import save_figure

    bad: list[BadFile] = []
    with muted_decoders():
        if augment:
            from genre_mlflow.figures.augmented import augmented_figure

            figure, bad = augmented_figure(folder, settings, augmentation, values["seed"])
        elif path:
            figure = sheets.track_figure(sheets.find(folder, path), settings)
        else:
            figure, bad = sheets.genres_figure(folder, per_genre, settings)
    for line in bad_lines(bad):
        echo(line, err=True)
    save_figure(figure, Path(out), dpi=sheets.dpi(figure))
    echo(f"Sheet: {out}")
    if bad:
        ctx.exit(USER_MISTAKE)


def check_augment(augment: bool, chosen: object, augmentation: AugmentationSettings) -> None:
    """Refuse a sheet of changes that would show none. Raises `SettingsError`."""
    strengths = options_of(AugmentationSettings).keys() - {"variants"}
    names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(strengths))
    if augment and augmentation.changes_nothing:
        raise SettingsError(f"--augment changes nothing; give one of {names}")
    if not augment and augmentation != AugmentationSettings():
        raise SettingsError(f"the sheet shows what {names} do with --augment alone")
    if augment and chosen:
        raise SettingsError("--augment draws the first tracks: leave --file, --per-genre out")
