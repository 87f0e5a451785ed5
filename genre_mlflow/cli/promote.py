"""The commands about who is champion: `promote`, `demote`."""

from typing import Any

import click

from genre_mlflow.cli.base import NOT_PROMOTED, OneLineErrors, echo, quiet_mlflow
from genre_mlflow.cli.options import options, options_from
from genre_mlflow.evaluation.gate_settings import GateSettings
from genre_mlflow.model.settings import ModelSettings, check_reason


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
    --min-gain. The decision and its figures are tags of the version, gate and gate_....

    Exit code 1 when the champion stays, 2 when the two cannot be compared.
    """
    check_reason(force, why)
    gate = GateSettings(**values)
    from genre_mlflow.jobs.promote import promote as promote_version

    quiet_mlflow()
    result = promote_version(model_name, version=version, force=force, why=why, gate=gate)
    echo(result.message())
    if not result.promoted:
        ctx.exit(NOT_PROMOTED)


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
