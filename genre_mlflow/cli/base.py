"""What our command lines share: errors in one line, signals, plug-ins, log lines."""

import gc
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any

import click

from genre_mlflow import signals
from genre_mlflow.errors import GenreError, SettingsError
from genre_mlflow.files.names import escaped
from genre_mlflow.files.ranks import leader_speaks, own_rank
from genre_mlflow.memory import out_of_memory

NOT_PROMOTED, USER_MISTAKE = 1, 2
PLUGINS = "genre_mlflow.commands"  # entry points of this group are commands, too
LOGGERS = ("genre_mlflow", "search")
# What these log comes to us as an exception, too; they add pages of tracebacks and their retries.
TALKATIVE = ("mlflow.store.db", "mlflow.system_metrics", "mlflow.utils.rest_utils", "urllib3")


def echo(text: str, err: bool = False) -> None:
    """Print lines, and nothing that would steer the terminal: a name from outside is no markup."""
    click.echo(escaped(text, keep="\n\t"), err=err)


class OneLineErrors(click.Command):
    """Shows our errors as one line with exit code 2, in the one place that all commands pass.

    `for_ranks`: whether several processes that `torchrun` has started can do it together.
    """

    for_ranks = False

    def main(self, *args: Any, **more: Any) -> Any:
        """Run as a program."""
        with leader_speaks():
            return super().main(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            with signals.listening():
                return self.invoke_listening(ctx)
        except KeyboardInterrupt:
            ctx.exit(signals.exit_code())

    def invoke_listening(self, ctx: click.Context) -> Any:
        """Run a command that a signal can stop."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # not where a notebook or a test has its own
                stream.reconfigure(errors="backslashreplace")  # a name of any script is printed
        try:
            with out_of_memory("this machine", "free some, or ask for less at once"):
                check_ranks(self)
                return super().invoke(ctx)
        except GenreError as error:
            echo(f"Error: {error}", err=True)
            ctx.exit(USER_MISTAKE)
        except OSError as error:
            if signals.asked():  # a terminal or a pipe that is gone, most likely
                ctx.exit(signals.exit_code())
            if error.strerror is None:
                raise
            name = error.filename2 or error.filename  # of a copy the one that is written
            where = f" ({name})" if name else ""
            echo(f"Error: {error.strerror}{where}", err=True)
            ctx.exit(USER_MISTAKE)


def check_ranks(command: click.Command) -> None:
    """Raise `SettingsError` where several processes would all do the same."""
    size = own_rank().size
    if size > 1 and not getattr(command, "for_ranks", False):
        raise SettingsError(
            f"{command.name} is done by one process, but {size} were started; torchrun is for "
            "train alone"
        )


class ForRanks(OneLineErrors):
    """A command that several processes can do together."""

    for_ranks = True


class PluginGroup(OneLineErrors, click.Group):
    """A group that other installed packages may add commands to."""

    for_ranks = True  # its commands say whether they are

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is asked for."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            check_ranks(command)
        return name, command, rest

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


class Speaker(logging.Handler):
    """Hands what we log to a function that prints a line."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self.say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Say the line, and nothing that would steer the terminal."""
        try:
            self.say(escaped(self.format(record), keep="\n"))
        except OSError:
            if not signals.asked():  # else who would have read it is gone, and we tidy
                raise


@contextmanager
def speaking(say: Callable[[str], None] = echo) -> Iterator[None]:
    """Say what we log, from INFO on, while the block runs: the one handler that there is."""
    speaker, ours = Speaker(say), [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in ours]
    for logger in ours:
        logger.setLevel(logging.INFO)
        logger.addHandler(speaker)
    try:
        yield
    finally:
        for logger, level in zip(ours, levels, strict=True):
            logger.removeHandler(speaker)
            logger.setLevel(level)


@contextmanager
def heavy_imports() -> Iterator[None]:
    """Leave the garbage collector alone while the heavy packages are imported.

    It finds nothing there, and takes a tenth of the time (`benchmarks/bench_start.py`).
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def quiet_mlflow() -> None:
    """Leave out MLflow's notes, its addresses of each run that ends, and its bars for small files.

    It sets its own level when it is imported, so call this after.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
