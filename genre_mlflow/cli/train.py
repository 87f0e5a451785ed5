"""The commands about one model: `train`, `evaluate`, `serve`."""

from functools import partial
from typing import Any

import click

from genre_mlflow.cli.base import (
    ForRanks,
    OneLineErrors,
    echo,
    heavy_imports,
    quiet_mlflow,
    speaking,
)
from genre_mlflow.cli.options import (
    BAD_FILE_OPTION,
    EXPERIMENT_OPTION,
    MODEL_OPTION,
    SPLIT_OPTIONS,
    TRAIN_OPTIONS,
    is_given,
    options,
    train_options,
)
from genre_mlflow.files.ranks import own_rank
from genre_mlflow.model.settings import check_model
from genre_mlflow.options import TrainOptions, off_default

SERVE_PORT = 5001  # the MLflow UI has 5000


@click.command(cls=ForRanks)
@options(TRAIN_OPTIONS)
@EXPERIMENT_OPTION
@click.option(
    "--resume",
    default="",
    metavar="RUN_ID",
    help="Go on with a run that was stopped; only --epochs may change, to more.",
)
@click.pass_context
def train(ctx: click.Context, /, experiment: str, resume: str, **values: Any) -> None:
    """Train a classifier; track, evaluate and register it.

    `torchrun --standalone --nproc-per-node N -m genre_mlflow train` shares the work among N
    processes, each on a core or a CUDA device of its own; what is trained stays the same.
    """
    settings = train_options(ctx, values)
    rank = own_rank()
    if rank.number:
        from genre_mlflow.jobs.together import Follower

        ctx.exit(Follower(rank).follow())
    if not resume:
        settings.check_folders()  # before the seconds of the imports
    from rich.console import Console

    from genre_mlflow.cli.bars import Bar, Table
    from genre_mlflow.cli.messages import summary
    from genre_mlflow.jobs.train import train as train_classifier
    from genre_mlflow.tracking.store import joined_run_id
    from genre_mlflow.training.distributed import joined
    from genre_mlflow.training.observer import Observers

    quiet_mlflow()
    given = {name for name in values if is_given(ctx, name)}
    if joined_run_id():
        given &= off_default(values).keys()  # `mlflow run` passes every option on
    with joined(rank), Bar(Console()) as bar, speaking(bar.say):
        outcome = train_classifier(
            settings,
            experiment=experiment,
            resume=resume,
            given=given,
            observer=Observers([bar, Table(bar.say)]),
        )
    echo(summary(outcome))


@click.command(cls=OneLineErrors)
@click.argument("model")
@click.option("--data", required=True, help="Folder with one folder of music per genre.")
@click.option(
    "--split", default="all", show_default=True,
    type=click.Choice(["all", "train", "val", "test"]),
    help="Tracks to evaluate on; all but 'all' split the folder first, as training does.",
)  # fmt: skip
@click.option(
    "--strict", is_flag=True,
    help="Refuse tracks that MODEL was trained or validated on, and a MODEL of which that is not "
    "known.",
)  # fmt: skip
@options([BAD_FILE_OPTION, *SPLIT_OPTIONS])
@EXPERIMENT_OPTION
def evaluate(
    model: str, data: str, split: str, strict: bool, experiment: str, **values: Any
) -> None:
    """Evaluate MODEL on labelled music, as a run of its own.

    MODEL is models:/NAME@ALIAS, models:/NAME/VERSION, models:/MODEL_ID or a folder. Tracks that it
    was trained or validated on are named: files with the same bytes, pixels or samples.
    """
    settings = TrainOptions.from_flat({**values, "data": data})
    settings.check_folders()
    check_model(model)
    from genre_mlflow.cli.messages import evaluated
    from genre_mlflow.jobs.evaluate import evaluate as evaluate_model

    quiet_mlflow()
    with speaking(partial(echo, err=True)):
        result = evaluate_model(model, settings, split=split, experiment=experiment, strict=strict)
    echo(evaluated(result))


@click.command(cls=OneLineErrors)
@MODEL_OPTION
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=SERVE_PORT, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--threads", type=click.IntRange(min=1), show_default="OMP_NUM_THREADS, or 1",
    help="Threads that one answer may use; several answers are worked on side by side anyway.",
)  # fmt: skip
def serve(model: str, host: str, port: int, threads: int | None) -> None:
    """Serve a model over HTTP, as `mlflow models serve` does, with less to wait for.

    Several answers are worked on side by side, each by one thread, unless --threads or
    OMP_NUM_THREADS say otherwise.
    """
    check_model(model)
    from genre_mlflow.serving import server

    with heavy_imports():
        server.serve(model, host, port, threads)
