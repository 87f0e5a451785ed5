"""What our command lines share: errors in one line, plug-ins, an end on SIGTERM as on Ctrl-C."""

import logging
import os
from importlib.metadata import entry_points
from typing import Any

import click

from genre_mlflow.errors import GenreError

NOT_PROMOTED, USER_MISTAKE, INTERRUPTED = 1, 2, 130
PLUGINS = "genre_mlflow.commands"  # entry points of this group are commands, too


class OneLineErrors(click.Command):
    """Shows our errors as one line with exit code 2, in the one place that all commands pass."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except GenreError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(USER_MISTAKE)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except OSError as error:
            if error.strerror is None:
                raise
            where = f" ({error.filename})" if error.filename else ""
            click.echo(f"Error: {error.strerror}{where}", err=True)
            ctx.exit(USER_MISTAKE)


class PluginGroup(OneLineErrors, click.Group):
    """A group that other installed packages may add commands to."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of our own commands and of the plug-ins."""
        names = {entry.name for entry in entry_points(group=PLUGINS)}
        return sorted({*super().list_commands(ctx), *names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command of our own, else a plug-in."""
        ours = super().get_command(ctx, cmd_name)
        if ours is not None:
            return ours
        found = entry_points(group=PLUGINS, name=cmd_name)
        return next((entry.load() for entry in found), None)


def quiet_mlflow() -> None:
    """Leave out MLflow's notes, its addresses of each run that ends, and its bars for small files.

    It sets its own level when it is imported, so call this after.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def interrupt(number: int, frame: object) -> None:
    """End on SIGTERM as on Ctrl-C."""
    raise KeyboardInterrupt
