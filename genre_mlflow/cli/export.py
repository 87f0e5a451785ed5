"""The command `export`: a model's network as a file for other programs."""

from pathlib import Path

import click

from genre_mlflow.cli.base import OneLineErrors, echo, heavy_imports, quiet_mlflow
from genre_mlflow.cli.options import check_output
from genre_mlflow.corpus.folders import check_paths
from genre_mlflow.files.names import printable
from genre_mlflow.model.settings import check_model

FORMATS = ("onnx",)


@click.command(cls=OneLineErrors)
@click.argument("model")
@click.option("--out", required=True, metavar="FILE", help="The file to write, NAME.onnx.")
@click.option(
    "--format", "kind", default=FORMATS[0], show_default=True, type=click.Choice(FORMATS),
    help="What kind of file.",
)  # fmt: skip
@click.option(
    "--check", "sample", default="", metavar="FILE",
    help="A recording or an image to check it with; without, a song of the demo corpus.",
)  # fmt: skip
def export(model: str, out: str, kind: str, sample: str) -> None:
    """Write the network of MODEL as ONNX, with all that using it needs as metadata.

    MODEL is models:/NAME@ALIAS, models:/NAME/VERSION, models:/MODEL_ID or a folder. ONNX Runtime
    must answer as torch does, within 0.0001 of a probability, before anything is written; a file
    that is there already is replaced. Needs the extra 'onnx'. What is fitted instead of learnt
    (statistics, majority, frozen networks) cannot be exported.
    """
    check_output(out, (".onnx",))
    check_model(model)
    if sample:
        check_paths((sample,))
    with heavy_imports():
        from genre_mlflow.jobs.export import export as export_model

        quiet_mlflow()
    done = export_model(model, Path(out), sample)
    echo(
        f"{printable(Path(out))}: {done.n_bytes / 1e6:.1f} MB, opset {done.opset}, any number of "
        f"pictures at once; probabilities within {done.difference:.1g} of the model's"
    )
