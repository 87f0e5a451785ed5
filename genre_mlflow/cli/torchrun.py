"""A command in several processes: `python -m genre_mlflow.cli.torchrun N train ...`."""

import click

from genre_mlflow.cli.base import OneLineErrors
from genre_mlflow.cli.main import main
from genre_mlflow.errors import SettingsError
from genre_mlflow.processes import cores

AS_THEY_ARE = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command(cls=OneLineErrors, context_settings=AS_THEY_ARE, add_help_option=False)
@click.argument("procs", type=click.IntRange(1))
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def torchrun(ctx: click.Context, procs: int, words: tuple[str, ...]) -> None:
    """Do a command of genre-mlflow in PROCS processes of this machine."""
    if procs > cores():
        raise SettingsError(f"procs is {procs}; allowed are 1 to {cores()}, the cores here")
    from genre_mlflow.training.launching import launch

    ctx.exit(launch(procs, "genre_mlflow", words))


if __name__ == "__main__":
    import sys

    # One process needs nobody to start it.
    if sys.argv[1:2] == ["1"]:
        main(sys.argv[2:], prog_name="genre-mlflow")
    torchrun(prog_name="genre-mlflow")
