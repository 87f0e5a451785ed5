"""The commands about what a run says of its model: `card`, `verify`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genre_mlflow.cli.base import OneLineErrors, echo, quiet_mlflow, speaking
from genre_mlflow.cli.options import check_output
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.names import escaped
from genre_mlflow.files.words import counted

if TYPE_CHECKING:
    from genre_mlflow.jobs.verify.differences import Difference
    from genre_mlflow.jobs.verify.verify import Verified

DIFFERS = 1
MARKDOWN, PAGE = ".md", ".html"
WIDEST, SHOWN = 60, 40  # characters of a cell; differences in the terminal


@click.command(cls=OneLineErrors)
@click.argument("run")
@click.option(
    "--out", default="", metavar="FILE",
    help=f"Write it to this file, too: Markdown as {MARKDOWN}, a page as {PAGE}.",
)  # fmt: skip
def card(run: str, out: str) -> None:
    """Make the model card of RUN again, with what the run has got since, such as explanations.

    RUN is the id of a training run, models:/NAME@ALIAS, models:/NAME/VERSION or models:/MODEL_ID.
    The run gets the card anew, as model_card.md and model_card.html.
    """
    check_output(out, (MARKDOWN, PAGE))
    from genre_mlflow.jobs.card.card import make_card

    quiet_mlflow()
    run_id, markdown, page = make_card(run)
    if out:
        text = page if out.lower().endswith(PAGE) else markdown
        with atomic_write(Path(out)) as file:
            file.write(text.encode())
    echo(f"Run {run_id} has its card anew: model_card.md and model_card.html")


@click.command(cls=OneLineErrors)
@click.argument("run")
@click.pass_context
def verify(ctx: click.Context, run: str) -> None:
    """Compute every figure of RUN and its card anew, and say which differ.

    From the logged model and the data: the tracks and their split by checksums, the answers, all
    figures with their intervals, the card line by line. RUN is the id of a training run,
    models:/NAME@ALIAS, models:/NAME/VERSION or models:/MODEL_ID. Nothing is written.

    Exit code 1 when something differs, 2 when it cannot be computed.
    """
    from genre_mlflow.jobs.verify.verify import verify as verify_run

    quiet_mlflow()
    with speaking(partial(echo, err=True)):
        found = verify_run(run)
    echo(summary(found))
    if found.differences:
        ctx.exit(DIFFERS)


def summary(found: "Verified") -> str:
    """What was compared, and a table of what differs."""
    card_lines = f" and {counted(found.n_lines, 'line')} of the card" if found.n_lines else ""
    compared = (
        f"{counted(found.n_figures, 'figure')}, the answers for {counted(found.n_tracks, 'track')}"
        f"{card_lines}"
    )
    notes = [f"Not compared: {note}" for note in found.notes]
    if not found.differences:
        return "\n".join([f"{found.name}: all agree: {compared}", *notes])
    n = counted(len(found.differences), "difference")
    return "\n".join([*table(found.differences), "", f"{found.name}: {n} in {compared}", *notes])


def table(found: "list[Difference]") -> list[str]:
    """The first differences: what, as recorded, as it is now."""
    rows = [("what", "recorded", "now")]
    rows += [(cut(one.what), cut(one.recorded), cut(one.now)) for one in found[:SHOWN]]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    more = len(found) - SHOWN
    return [*lines, f"... and {more:,} more"] if more > 0 else lines


def cut(text: str) -> str:
    """A text that fits into a cell."""
    text = escaped(text)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."
