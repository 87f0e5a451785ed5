"""The command `corpus groups`: a table of artists and albums from the tags of files."""

import os
import shlex
from pathlib import Path

import click

from genre_mlflow.cli.base import echo
from genre_mlflow.cli.options import BAD_FILE_OPTION, check_output, options
from genre_mlflow.corpus.settings import CorpusSettings
from genre_mlflow.errors import SettingsError


@click.command("groups")
@click.argument("folder")
@options([BAD_FILE_OPTION])
@click.option("--out", required=True, metavar="FILE", help="CSV to write, for `train --groups`.")
def corpus_groups(folder: str, on_bad_file: str, out: str) -> None:
    """Write whose each track of FOLDER is, by the tags in its file: artist, album, album artist.

    A row a track, for --groups of train, search, crossval and scan, with --group-by artist, album
    or albumartist. Empty is what is not known: a file without such a tag, "Unknown Artist",
    "Various Artists" and the like. Names that differ in capitals or blanks are one.
    """
    check_output(out, (".csv",))
    if os.path.lexists(out):
        raise SettingsError(
            f"--out {out} is there already, mended by hand perhaps; name another, or move it away"
        )
    settings = CorpusSettings(folder, on_bad_file)
    settings.check_folder()
    from genre_mlflow.corpus.corpus import corpus_folder
    from genre_mlflow.corpus.scan import scan
    from genre_mlflow.corpus.tags import tagged, write_tagged

    scanned = scan(corpus_folder(settings.data), settings.on_bad_file, fewest_genres=1)
    found = tagged(scanned.manifest)
    write_tagged(found, Path(out))
    echo(found.summary)
    echo(f"Groups: {out} ({len(found.table)} tracks)")
    words = f"--data {shlex.quote(folder)} --groups {shlex.quote(out)} --group-by artist"
    echo(f"  train by them  genre-mlflow train {words}")
