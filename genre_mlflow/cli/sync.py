"""The command `sync`: what a run has not been able to write into its store is sent."""

import click

from genre_mlflow.cli.base import USER_MISTAKE, OneLineErrors, echo, quiet_mlflow, speaking
from genre_mlflow.errors import GenreError


@click.command(cls=OneLineErrors)
@click.argument("run", default="")
def sync(run: str) -> None:
    """Send what waits of RUN, or of all runs here, because the MLflow store was gone.

    RUN is a run's id, or its folder below .genre/checkpoints. Epochs go first, in order; a run
    whose training has ended is then evaluated, registered and FINISHED, as it would have been. The
    command may be stopped and given again: nothing is lost or sent twice.
    """
    from genre_mlflow.cli.messages import summary
    from genre_mlflow.jobs.sync import find_waiting
    from genre_mlflow.jobs.sync import sync as send

    quiet_mlflow()
    found = find_waiting(run)
    if not found:
        echo(f"Nothing waits{f' of run {run}' if run else ''}.")
    failed = False
    with speaking():
        for run_id in found:
            try:
                outcome = send(run_id)
            except GenreError as error:  # the others are sent all the same
                if len(found) == 1:
                    raise
                echo(f"Error: run {run_id}: {error}", err=True)
                failed = True
                continue
            if outcome:
                echo(summary(outcome))
    if failed:
        raise SystemExit(USER_MISTAKE)
