"""The command line. Heavy packages are imported inside the commands, so that help is instant."""

import signal
from pathlib import Path
from typing import Any

import click

from genre_mlflow.cli.base import NOT_PROMOTED, PluginGroup, interrupt, quiet_mlflow
from genre_mlflow.cli.corpus import render, show
from genre_mlflow.cli.options import (
    BAD_FILE_OPTION,
    EXPERIMENT_OPTION,
    MODEL_OPTION,
    SPLIT_OPTIONS,
    TRAIN_OPTIONS,
    is_given,
    options,
)
from genre_mlflow.cli.predict import predict
from genre_mlflow.files.home import home
from genre_mlflow.files.names import check_output
from genre_mlflow.options import TrainOptions
from genre_mlflow.version import VERSION

SERVE_PORT = 5001  # the MLflow UI has 5000


@click.group(cls=PluginGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="genre-mlflow")
def main() -> None:
    """Train, track, register and serve music-genre classifiers.

    The MLflow store is MLflow's own business: set MLFLOW_TRACKING_URI, or leave it at mlflow.db
    in the working folder. Derived files lie in .genre, or in GENRE_HOME.
    """


@main.command()
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
    """Train a classifier; track, evaluate and register it."""
    train_options = TrainOptions.from_flat(values)
    from rich.console import Console

    from genre_mlflow.cli.bars import Bar, Table
    from genre_mlflow.cli.messages import summary
    from genre_mlflow.jobs.train import train
    from genre_mlflow.tracking.sessions import given_to_mlflow
    from genre_mlflow.tracking.store import joined_run_id

    signal.signal(signal.SIGTERM, interrupt)
    quiet_mlflow()
    given = {name for name in values if is_given(ctx, name)}
    if joined_run_id():
        given &= given_to_mlflow(values)
    with Bar(Console()) as bar:
        outcome = train(
            train_options,
            experiment=experiment,
            resume=resume,
            given=given,
            observers=[bar, Table(bar.say)],
            say=bar.say,
        )
    click.echo(summary(outcome))


@main.command()
@click.argument("model")
@click.option("--data", required=True, help="Folder with one folder of music per genre.")
@click.option(
    "--split", default="all", show_default=True,
    type=click.Choice(["all", "train", "val", "test"]),
    help="Tracks to evaluate on; all but 'all' split the folder first, as training does.",
)  # fmt: skip
@options([BAD_FILE_OPTION, *SPLIT_OPTIONS])
@EXPERIMENT_OPTION
def evaluate(model: str, data: str, split: str, experiment: str, **values: Any) -> None:
    """Evaluate MODEL on labelled music, as a run of its own.

    MODEL is models:/NAME@ALIAS, models:/NAME/VERSION, models:/MODEL_ID or a folder.
    """
    train_options = TrainOptions.from_flat({**values, "data": data})
    from genre_mlflow.jobs.evaluate import evaluate as evaluate_model

    quiet_mlflow()
    result = evaluate_model(model, train_options, split=split, experiment=experiment)
    click.echo(result.report.to_string(index=False, float_format="{:.3f}".format))
    m = result.metrics
    click.echo(
        f"\nAccuracy {m['accuracy']:.1%} (95 % interval {m['accuracy_low']:.1%} to "
        f"{m['accuracy_high']:.1%}), macro F1 {m['macro_f1']:.3f}, on {result.n_tracks} tracks; "
        f"run {result.run_id}"
    )


@main.command()
@click.option(
    "--model-name", default=TrainOptions().model_name, show_default=True, help="Registered model."
)
@click.option("--force", is_flag=True, help="Promote without a comparison; needs --why.")
@click.option("--why", default="", metavar="TEXT", help="Reason for --force, kept as a tag.")
@click.pass_context
def promote(ctx: click.Context, model_name: str, force: bool, why: str) -> None:
    """Make the challenger the champion if it is better on the same test tracks.

    Exit code 1 when it stays as it is, 2 when the two cannot be compared.
    """
    from genre_mlflow.jobs.promote import promote as promote_challenger

    quiet_mlflow()
    result = promote_challenger(model_name, force=force, why=why)
    click.echo(f"{'Promoted' if result.promoted else 'Not promoted'}: {result.reason}")
    if not result.promoted:
        ctx.exit(NOT_PROMOTED)


main.add_command(predict)


@main.command()
@MODEL_OPTION
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=SERVE_PORT, show_default=True, type=click.IntRange(1, 65535))
def serve(model: str, host: str, port: int) -> None:
    """Serve a model over HTTP, as `mlflow models serve` does."""
    from genre_mlflow.serving import server
    from genre_mlflow.tracking import registry

    server.check_port(host, port)
    registry.check_servable(model)
    server.serve(model, host, port)


@main.group()
def corpus() -> None:
    """Look at a folder of music, draw it, or make a corpus: the demo, the GTZAN."""


corpus.add_command(render)
corpus.add_command(show)


@corpus.command("scan")
@click.argument("folder")
@options([BAD_FILE_OPTION, *SPLIT_OPTIONS])
@click.option("--out", default="", metavar="FILE", help="Write the manifest as CSV.")
def corpus_scan(folder: str, out: str, **values: Any) -> None:
    """Check and split FOLDER as training would, and print what is in it."""
    scan_options = TrainOptions.from_flat({**values, "data": folder})
    check_output(out, (".csv",))
    from genre_mlflow.corpus.corpus import open_corpus, overview

    found = open_corpus(folder, scan_options.on_bad_file, scan_options.split)
    click.echo(overview(found))
    if out:
        found.manifest.to_csv(out, index=False)
        click.echo(f"Manifest: {out}")


@corpus.command("demo")
@click.argument("folder")
def corpus_demo(folder: str) -> None:
    """Write the demo corpus, ten synthesised genres, into FOLDER."""
    from genre_mlflow.corpus.demo.images import make_demo

    click.echo(make_demo(Path(folder)))


@corpus.command("gtzan")
@click.argument("out")
@click.option("--source", default="", help="Folder or archive of the collection that you have.")
@click.option("--download", is_flag=True, help="Fetch it (1.2 GB), or the rest of it.")
@options([BAD_FILE_OPTION])
def corpus_gtzan(out: str, source: str, download: bool, on_bad_file: str) -> None:
    """Check the GTZAN collection and lay it out in OUT, with the filtered split.

    Files of a folder are linked, those of an archive (.zip, .tar.gz) extracted. Checked tracks
    that are in OUT stay, so that the command can be stopped and given again.
    """
    from genre_mlflow.corpus.gtzan.collection import gtzan
    from genre_mlflow.corpus.gtzan.layout import prepare, summary

    result = prepare(Path(out), gtzan(), source, download, on_bad_file, say=click.echo)
    click.echo(summary(result))


@main.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean(yes: bool) -> None:
    """Show what the derived files take, and delete them.

    Runs that are not finished cannot be resumed afterwards. MLflow's store is not touched.
    """
    from genre_mlflow.files.derived import empty_home, sizes

    found = sizes()
    for path, n_bytes in found.items():
        click.echo(f"{n_bytes / 1e6:10.1f} MB  {path.name}")
    click.echo(f"{sum(found.values()) / 1e6:10.1f} MB  in {home()}")
    if found and (yes or click.confirm("Delete all of this?")):
        empty_home()
        click.echo("Deleted.")
