"""The command `compare`, and what it prints."""

from typing import TYPE_CHECKING

import click

from genre_mlflow.cli.base import OneLineErrors, echo, quiet_mlflow
from genre_mlflow.cli.options import EXPERIMENT_OPTION
from genre_mlflow.files.words import counted

if TYPE_CHECKING:
    from genre_mlflow.jobs.compare import Compared

SHOWN = 12  # tracks; all are in the run


class Addresses(click.ParamType[list[str]]):
    """One address, or several between commas."""

    name = "address"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """The addresses."""
        if isinstance(value, list):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(parts):
            self.fail(f"{value!r} has an empty address; allowed are A or A,A,...", param, ctx)
        return parts


@click.command(cls=OneLineErrors)
@click.argument("a", type=Addresses())
@click.argument("b", type=Addresses())
@EXPERIMENT_OPTION
def compare(a: list[str], b: list[str], experiment: str) -> None:
    """Compare A with B on the test tracks of both, as a run of its own.

    A and B are run ids, models:/NAME@ALIAS, models:/NAME/VERSION or models:/MODEL_ID; several
    between commas are trainings of one setting with other seeds, whose mean counts. Runs of
    `evaluate` are compared on all that they evaluated.
    """
    from genre_mlflow.jobs.compare import compare as compare_models

    quiet_mlflow()
    echo(summary(compare_models(a, b, experiment=experiment)))


def summary(done: "Compared") -> str:
    """Whether they can be told apart, both accuracies, the genres and the tracks that differ."""
    found = done.comparison
    lines = [done.sentence(), ""]
    lines += [f"  A  {found.a:6.1%}  {done.a}", f"  B  {found.b:6.1%}  {done.b}", ""]
    if found.over_groups and found.over_groups.n < found.n:
        low, high = 100 * found.over_tracks.low, 100 * found.over_tracks.high
        lines += [f"Taken as {found.n:,} independent tracks: {low:+.1f} to {high:+.1f} points"]
    if found.mcnemar:
        one, other, p = found.mcnemar.only_one, found.mcnemar.only_other, found.mcnemar.p
        lines += [f"A alone is right on {one}, B alone on {other}: McNemar's exact p {p:.2g}"]
    if done.other_files:
        lines += [
            f"The files of {counted(done.other_files, 'track')} have other bytes on either side: "
            "images and recordings of the same music, or other music"
        ]
    genres = found.genres.rename(columns=lambda name: name.replace("_", " "))
    lines += ["", genres.to_string(index=False, float_format="{:g}".format), ""]
    return "\n".join([*lines, *differing(done), f"Run {done.run_id}"])


def differing(done: "Compared") -> list[str]:
    """The first of the tracks that are answered differently."""
    table = done.comparison.tracks
    if table.empty:
        return ["They answer every track alike"]
    half = SHOWN // 2  # what A gets right stands first, what B gets right last
    shown = table if len(table) <= SHOWN else table.iloc[[*range(half), *range(-half, 0)]]
    head = f"They answer {counted(len(table), 'track')} differently"
    if len(shown) < len(table):
        head += f", of which {len(shown)} here; all are in tables/tracks.csv of the run"
    columns = shown[["track_id", "genre", "a", "b"]]
    return [head, columns.to_string(index=False), ""]
