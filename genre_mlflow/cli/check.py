"""The command `corpus check`: pairs of tracks that are one recording."""

from pathlib import Path
from typing import Any

import click

from genre_mlflow.cli.base import echo
from genre_mlflow.cli.options import (
    BAD_FILE_OPTION,
    RECORDING_OPTIONS,
    check_length,
    check_output,
    options,
    training_option,
)
from genre_mlflow.corpus.settings import CorpusSettings, SplitSettings
from genre_mlflow.errors import DataError, SettingsError
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.files.names import is_same_file
from genre_mlflow.options import part_of


@click.command("check")
@click.argument("folder")
@options([BAD_FILE_OPTION, *(training_option(n) for n in ("split_dir", "groups", "on_missing"))])
@click.option(
    "--write", default="", metavar="FILE",
    help="Write a CSV for `train --groups`, and the doubtful pairs beside it.",
)  # fmt: skip
@click.option(
    "--confirmed", default="", metavar="FILE",
    help="CSV of pairs with your verdict, yes or no, in its column `same`.",
)  # fmt: skip
@click.option("--draw", default="", metavar="FILE", help="PNG to draw the doubtful pairs in.")
@options(RECORDING_OPTIONS)
def corpus_check(folder: str, write: str, confirmed: str, draw: str, **values: Any) -> None:
    """Find tracks of FOLDER that are one recording: exact copies and near ones.

    A line for each pair: both tracks, what they are to each other, a score from 0 to 1, where the
    second begins in the first, and what --groups says. Kinds: copy, equal pixels or samples; near,
    one recording beyond doubt; doubtful, to be judged by you; confirmed and apart, as you have
    judged in --confirmed. Recordings are drawn by the options below, which should be those that
    images among the tracks were drawn by.
    """
    drawing = part_of(PreprocessingSettings, values)
    drawing.check_drawn()
    dealing, settings = (
        part_of(SplitSettings, values),
        CorpusSettings(folder, values["on_bad_file"]),
    )
    check_files(write, confirmed, draw)
    settings.check_folder()
    dealing.check_folder()
    if write:
        check_written(write, dealing.groups, confirmed)
    from genre_mlflow.cli.bars import Bar
    from genre_mlflow.corpus.checking import check_corpus
    from genre_mlflow.corpus.faults import bad_lines

    with Bar() as bar:
        found = check_corpus(settings, dealing, drawing, confirmed, bar.move)
    for line in bad_lines(found.bad_files):
        echo(line, err=True)
    for line in found.lines:
        echo(line)
    echo(found.summary)
    if write:
        from genre_mlflow.corpus.pair_tables import doubtful_file, write_tables

        n_tracks, n_pairs = write_tables(found.pairs, found.manifest, Path(write))
        echo(f"Groups: {write} ({n_tracks} tracks)")
        echo(f"Doubtful pairs: {doubtful_file(Path(write))} ({n_pairs})")
    if draw:
        draw_doubtful(found, drawing, draw)


def check_files(write: str, confirmed: str, draw: str) -> None:
    """Refuse files that could not be written or read, before any work. Raises `SettingsError`."""
    check_output(write, (".csv",), "--write")
    check_output(draw, (".png",), "--draw")
    if confirmed and not Path(confirmed).is_file():
        raise SettingsError(f"--confirmed is {confirmed!r}, which is no file; give a CSV of pairs")


def check_written(write: str, groups: str, confirmed: str) -> None:
    """Refuse to write over what the command reads, and over verdicts that it does not read.

    Raises `SettingsError`.
    """
    from genre_mlflow.corpus.pair_tables import doubtful_file

    beside = str(doubtful_file(Path(write)))
    check_length(Path(beside), f"--write is {write!r}, which writes {beside!r}, too")
    pairs = ((write, "--groups", groups), (beside, "--groups", groups))
    for written, option, given in (*pairs, (write, "--confirmed", confirmed)):
        if is_same_file(written, given):
            raise SettingsError(
                f"--write is {write!r}, which would replace {given!r} of {option}; "
                "give another name"
            )
    if Path(beside).exists() and not is_same_file(beside, confirmed):
        check_unjudged(write, beside)


def check_unjudged(write: str, beside: str) -> None:
    """Refuse to replace a table of pairs that has verdicts, or what is no such table."""
    from genre_mlflow.corpus.verdicts import verdicts_from

    try:
        verdicts = verdicts_from(Path(beside))
    except DataError as error:
        raise SettingsError(f"--write is {write!r}, which replaces {beside!r}: {error}") from error
    if verdicts:
        raise SettingsError(
            f"--write is {write!r}, but {beside!r} has verdicts, which would be lost; give it with "
            "--confirmed, or write to another name"
        )


def draw_doubtful(found: Any, drawing: PreprocessingSettings, draw: str) -> None:
    """Draw the doubtful pairs; without any, say so."""
    if not found.doubtful:
        echo("No pair is doubtful, so nothing is drawn")
        return
    from genre_mlflow.figures.image import save_figure
    from genre_mlflow.figures.pairs import MOST_PAIRS, pairs_figure

    paths = list(found.manifest["path"])
    save_figure(pairs_figure(found.doubtful, paths, found.pictures, drawing), Path(draw))
    more = f" (the first {MOST_PAIRS} of {len(found.doubtful)})"
    echo(f"Sheet: {draw}{more if len(found.doubtful) > MOST_PAIRS else ''}")
