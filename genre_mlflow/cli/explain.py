"""The command `explain`: of files, or of the answers of a run."""

from pathlib import Path
from typing import Any

import click

from genre_mlflow.cli.base import USER_MISTAKE, OneLineErrors, echo, quiet_mlflow, speaking
from genre_mlflow.cli.options import (
    MODEL_OPTION,
    check_length,
    is_given,
    options,
    options_from,
    training_option,
)
from genre_mlflow.errors import SettingsError
from genre_mlflow.evaluation.explain_settings import ExplainSettings
from genre_mlflow.model.settings import check_model

OF_FILES, OF_RUNS = ("model", "out", "genre", "csv"), ("split", "robustness")


@click.command(cls=OneLineErrors)
@click.argument("files", nargs=-1)
@MODEL_OPTION
@click.option("--out", default="explanations", show_default=True, metavar="FOLDER",
              help="Where the pictures go, one a file.")  # fmt: skip
@click.option("--genre", default="", help="For which genre it is asked; else the answer.")
@click.option("--csv", is_flag=True, help="Write the maps as tables, too.")
@click.option("--run", "run_id", default="", metavar="RUN_ID",
              help="In place of files: the answers of this run's model.")  # fmt: skip
@options(options_from(ExplainSettings))
@options([training_option("device")])
@click.pass_context
def explain(
    ctx: click.Context,
    /,
    files: tuple[str, ...],
    model: str,
    out: str,
    genre: str,
    csv: bool,
    run_id: str,
    device: str,
    **values: Any,
) -> None:
    """Show what in a spectrogram speaks for an answer: where in time, at what frequencies.

    Of FILES, recordings and images, a picture each. With --run, of the test set of a finished
    training, logged to that run: the most confident mistakes, the mean map of each genre, what
    hiding each frequency band costs and, with --robustness, what disturbances change.

    Exit code 2 when a file cannot be read; the others are explained all the same.
    """
    check_asked(ctx, files, run_id)
    settings = ExplainSettings(**values)
    if run_id:
        explain_run(run_id, settings, device)
    elif explain_files(files, model, out, genre, csv, settings.method, device):
        ctx.exit(USER_MISTAKE)


def check_asked(ctx: click.Context, files: tuple[str, ...], run_id: str) -> None:
    """Refuse files with a run, neither, and options of the other. Raises `SettingsError`."""
    if bool(files) == bool(run_id):
        what = "both are given" if files else "neither is given"
        raise SettingsError(f"explain takes FILES or --run RUN_ID, but {what}")
    for name in OF_FILES if run_id else OF_RUNS:
        if is_given(ctx, name):
            raise SettingsError(f"--{name} is for {'files' if run_id else '--run'} alone")


def explain_files(
    files: tuple[str, ...], model: str, out: str, genre: str, csv: bool, method: str, device: str
) -> int:
    """Say a line a file; return how many could not be explained."""
    check_model(model)
    check_length(Path(out), f"--out is {out!r}")
    from rich.console import Console

    from genre_mlflow.cli.bars import Progress
    from genre_mlflow.jobs import explain_files as job

    quiet_mlflow()
    job.check_files(files)
    classifier, method = job.explainable(model, genre or None, method, device)
    job.check_out(out)
    n_failed = 0
    with Progress(Console(), len(files), "files") as progress:
        for line, is_done in job.explain_files(
            classifier, files, genre or None, method, Path(out), csv=csv
        ):
            progress.say(line)
            progress.advance()
            n_failed += not is_done
    return n_failed


def explain_run(run_id: str, settings: ExplainSettings, device: str) -> None:
    """Say what was found."""
    from rich.console import Console

    from genre_mlflow.cli.bars import Bar
    from genre_mlflow.jobs import explain_run as job

    quiet_mlflow()
    with Bar(Console()) as bar, speaking(bar.say):
        done = job.explain_run(run_id, settings, device, bar.move)
    echo(job.summary(done))
