"""The command `models`: the versions of registered models, in a table."""

from typing import TYPE_CHECKING

import click

from genre_mlflow.cli.base import OneLineErrors, echo, quiet_mlflow
from genre_mlflow.files.names import escaped

if TYPE_CHECKING:
    from genre_mlflow.tracking.versions import VersionFacts

HEAD = ("model", "version", "alias", "test accuracy", "test set", "corpus", "registered")
DIGEST_SHOWN = 8  # letters; the same ones mean the same tracks


@click.command(cls=OneLineErrors)
@click.argument("name", default="")
def models(name: str) -> None:
    """List the versions of the registered model NAME, or of all.

    With alias, accuracy on the test set and its 95 % interval, digest of the test set (accuracies
    can be compared where it is the same), corpus and day. Of a version that was cross-validated
    instead the accuracy is that of the folds, and these stand in place of a digest.
    """
    from genre_mlflow.tracking.versions import list_versions

    quiet_mlflow()
    rows = [HEAD, *(row_of(facts) for facts in list_versions(name))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        echo("  ".join(cells).rstrip())


def row_of(facts: "VersionFacts") -> tuple[str, ...]:
    """One version as cells of text."""
    accuracy = "" if facts.accuracy is None else f"{facts.accuracy:.1%}"
    if facts.low is not None and facts.high is not None:
        accuracy += f" ({facts.low:.1%} to {facts.high:.1%})"
    return (
        escaped(facts.name),
        str(facts.version),
        escaped(", ".join(facts.aliases)),
        accuracy,
        f"none, {facts.folds}" if facts.folds else facts.digest[:DIGEST_SHOWN],
        escaped(facts.corpus),
        f"{facts.created:%Y-%m-%d}",
    )
