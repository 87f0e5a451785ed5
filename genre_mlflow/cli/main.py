"""The command line. Heavy packages are imported inside the commands, so that help is instant."""

import click

from genre_mlflow.cli.base import PluginGroup, echo
from genre_mlflow.cli.card import card, verify
from genre_mlflow.cli.check import corpus_check
from genre_mlflow.cli.compare import compare
from genre_mlflow.cli.corpus import corpus
from genre_mlflow.cli.crossval import crossval
from genre_mlflow.cli.explain import explain
from genre_mlflow.cli.export import export
from genre_mlflow.cli.models import models
from genre_mlflow.cli.predict import predict
from genre_mlflow.cli.promote import demote, promote
from genre_mlflow.cli.sync import sync
from genre_mlflow.cli.tags import corpus_groups
from genre_mlflow.cli.train import evaluate, serve, train
from genre_mlflow.cli.weights import weights
from genre_mlflow.files.home import home
from genre_mlflow.version import VERSION


@click.group(cls=PluginGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="genre-mlflow")
def main() -> None:
    """Train, track, register and serve music-genre classifiers.

    The MLflow store is MLflow's own business: set MLFLOW_TRACKING_URI, or leave it at mlflow.db
    in the working folder. Derived files lie in .genre, or in GENRE_HOME.
    """


for command in (
    train, crossval, evaluate, compare, explain, card, verify, models, promote, demote, predict,
    serve, export, sync, corpus, weights,
):  # fmt: skip
    main.add_command(command)
corpus.add_command(corpus_check)
corpus.add_command(corpus_groups)


@main.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean(yes: bool) -> None:
    """Show what the derived files take, and delete them.

    Runs that are not finished cannot be resumed afterwards. MLflow's store is not touched.
    """
    from genre_mlflow.files.home import empty_home, sizes

    found = sizes()
    for path, n_bytes in found.items():
        echo(f"{n_bytes / 1e6:10.1f} MB  {path.name}")
    echo(f"{sum(found.values()) / 1e6:10.1f} MB  in {home()}")
    waiting = len(list(home().glob("checkpoints/*/waiting/epoch-*.json")))
    waiting += len(list(home().glob("checkpoints/*/waiting/trained.json")))
    if waiting:
        echo("Some of it waits for the MLflow store (genre-mlflow sync), and would be lost.")
    if found and (yes or click.confirm("Delete all of this?")):
        empty_home()
        echo("Deleted.")
