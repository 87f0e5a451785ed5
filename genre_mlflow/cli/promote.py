"""The commands about who is champion: `promote`, `demote`."""

from typing import Any

import click

from genre_mlflow.cli.base import NOT_PROMOTED, OneLineErrors, echo, quiet_mlflow, speaking
from genre_mlflow.cli.options import is_given, options, options_from
from genre_mlflow.errors import SettingsError
from genre_mlflow.evaluation.gate_settings import LIGHTER, GateSettings
from genre_mlflow.model.settings import ModelSettings, check_reason
from genre_mlflow.settings import options_of

OF_LIGHTER = ("margin", "min_saving")


@click.command(cls=OneLineErrors)
@click.option(
    "--model-name", default=ModelSettings().model_name, show_default=True, help="Registered model."
)
@click.option("--version", default="", metavar="N", help="Its version; empty: the challenger.")
@options(options_from(GateSettings))
@click.option("--force", is_flag=True, help="Promote without a comparison; needs --why.")
@click.option("--why", default="", metavar="TEXT", help="Reason for --force, kept as a tag.")
@click.pass_context
def promote(
    ctx: click.Context, /, model_name: str, version: str, force: bool, why: str, **values: Any
) -> None:
    """Make the challenger, or another version, the champion if it is shown to be better.

    Better is: the 95 % interval of its gain in accuracy on the same test tracks lies above 0, or
    --min-gain, and an exact test agrees. With --accept lighter one passes, too, that is not worse
    by more than --margin and saves --min-saving of weights or latency. Last it must answer a
    request; building a fresh environment for that takes half a minute once its packages are in
    uv's cache, and must fetch them before, some GB. --smoke here takes seconds and no network.
    The decision and its figures are tags of the version, gate and gate_..., and the decision the
    last line of its description.

    Exit code 1 when the champion stays, 2 when the two cannot be compared.
    """
    check_reason(force, why)
    check_asked(ctx, force, values["accept"])
    gate = GateSettings(**values)
    from genre_mlflow.jobs.promote import promote as promote_version

    quiet_mlflow()
    with speaking():
        result = promote_version(model_name, version=version, force=force, why=why, gate=gate)
    echo(result.message())
    if not result.promoted:
        ctx.exit(NOT_PROMOTED)


def check_asked(ctx: click.Context, force: bool, accept: str) -> None:
    """Refuse options that would decide nothing. Raises `SettingsError`."""
    for name in options_of(GateSettings):
        if force and is_given(ctx, name):
            raise SettingsError(f"--{name.replace('_', '-')} is for the gate, which --force skips")
    for name in OF_LIGHTER:
        if accept != LIGHTER and is_given(ctx, name):
            raise SettingsError(f"--{name.replace('_', '-')} is for --accept {LIGHTER} alone")


@click.command(cls=OneLineErrors)
@click.argument("name")
@click.pass_context
def demote(ctx: click.Context, name: str) -> None:
    """Give champion of the model NAME back to the version that held it before.

    Exit code 1 when there was none before, and the champion stays.
    """
    from genre_mlflow.jobs.promote import demote as demote_champion

    quiet_mlflow()
    result = demote_champion(name)
    echo(f"{'Demoted' if result.demoted else 'Not demoted'}: {result.reason}")
    if not result.demoted:
        ctx.exit(NOT_PROMOTED)
