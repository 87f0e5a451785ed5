"""The command `search`; heavy packages are imported inside it, so that help is instant."""

import os
from typing import Any

import click

from genre_mlflow.cli.base import OneLineErrors, echo, quiet_mlflow, speaking
from genre_mlflow.cli.options import EXPERIMENT_OPTION, TRAIN_OPTIONS, options, train_options
from search.request import PRUNERS, SAMPLERS, Request
from search.space import load_space
from search.spaces import SPACES

STORAGE_VARIABLE = "GENRE_SEARCH_STORAGE"
D = Request.__dataclass_fields__  # where the defaults stand


def own(flag: str, kind: Any, text: str) -> Any:
    """An option of the search whose default comes from `Request`."""
    name = flag.removeprefix("--").replace("-", "_")
    field = D.get(name) or D[f"{name}_s"]
    default = str(field.default).lower() if kind is bool else field.default
    switch: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if kind is bool else {}
    return click.option(flag, type=kind, default=default, show_default=True, help=text, **switch)


SEARCH_OPTIONS = [
    own("--trials", int, "Completed and pruned trials that the whole study is to have."),
    own("--timeout", float, "Begin no trial after so many seconds; 0: no limit."),
    own("--space", str, f"What is searched: {', '.join(SPACES)}, or a .yaml or .py file."),
    own("--study", str, "Name of the study; empty: the corpus and the space."),
    own(
        "--storage", str,
        f"SQLAlchemy address of the studies; empty: {STORAGE_VARIABLE}, else search.db in .genre.",
    ),
    own("--workers", int, "Processes on this machine that run trials."),
    own("--sampler", click.Choice(SAMPLERS), "How settings are chosen."),
    own("--pruner", click.Choice(PRUNERS), "How hopeless trials are recognised."),
    own("--folds", int, "Train each trial on so many folds of train and val; 0: on that split."),
    own("--finalists", int, "Train only so many of the best settings on the folds; 0: each trial."),
    click.option(
        "--enqueue", multiple=True, metavar="'NAME=VALUE ...'",
        help="Try this setting early; several with ';' between them, or the option repeated.",
    ),
    own("--final-seeds", int, "Times that the best setting is trained again; 0: never."),
    own("--promote", bool, "Promote the best final run if it passes `promote --smoke here`."),
    own("--grace", int, "Seconds without a sign of life after which a worker counts as dead."),
]  # fmt: skip


@click.command(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@options(SEARCH_OPTIONS)
@options(TRAIN_OPTIONS)
@EXPERIMENT_OPTION
@click.pass_context
def search(ctx: click.Context, /, experiment: str, enqueue: tuple[str, ...], **values: Any) -> None:
    """Search for a good setting, train it again, evaluate and register it.

    The same command, here or on another machine with the same --storage, joins the study. An
    option of training that the space searches gives the value of the first trial; the others stay
    fixed. Selection is by validation loss; the test set is read once, at the end.
    """
    settings = train_options(ctx, values)
    # Not Click's `envvar`: `mlflow run` passes an empty word on for what is not given.
    values["storage"] = values["storage"] or os.environ.get(STORAGE_VARIABLE, "")
    given = {name: values[name] for name in D if name in values}
    request = Request(
        options=settings,
        experiment=experiment,
        enqueue=tuple(part for text in enqueue for part in text.split(";") if part.strip()),
        timeout_s=values["timeout"],
        grace_s=values["grace"],
        **given,
    )
    settings.check_folders()  # mistakes are told before the heavy imports
    space = load_space(request.space)
    space.check(settings)
    for text in request.enqueue:
        space.parse(text)
    from search.storage import Storage, default_address

    Storage(request.storage or default_address(), request.grace_s).close()

    from rich.console import Console

    from genre_mlflow.cli.bars import Bar, Table
    from genre_mlflow.training.observer import Observers
    from search.best import promote_best
    from search.run import run
    from search.summary import summary

    quiet_mlflow()
    with Bar(Console()) as bar, speaking(bar.say):
        found = run(request, observers=[bar], final=Observers([bar, Table(bar.say)]))
    if found is None:
        echo("Other workers still run trials; the last of them ends the study.")
        return
    echo(summary(found))
    if request.promote and found.version:
        echo(promote_best(found))
