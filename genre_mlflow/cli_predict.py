"""The command `predict`: the genres of a library, as lines, tables, playlists and folders."""

from collections import Counter
from pathlib import Path

import click

from genre_mlflow.cli_base import USER_MISTAKE, OneLineErrors, quiet_mlflow
from genre_mlflow.cli_options import MODEL_OPTION
from genre_mlflow.errors import SettingsError
from genre_mlflow.files import check_output

ENGINES = ("local", "spark")
WIDEST = 60  # characters of a path before its answer


@click.command(cls=OneLineErrors)
@click.argument("paths", nargs=-1, required=True)
@MODEL_OPTION
@click.option(
    "--top-k", default=3, show_default=True, type=click.IntRange(min=1),
    help="Genres to show for each file.",
)  # fmt: skip
@click.option("--out", default="", metavar="FILE", help="Write a table: .csv, which is gone on "
              "with when it is there, or .json.")  # fmt: skip
@click.option("--workers", default=0, show_default=True, help="Processes; 0: by itself.")
@click.option(
    "--engine",
    default="local",
    show_default=True,
    type=click.Choice(ENGINES),
    help="Predict here, or with Spark; that needs the extra 'spark' and Java 17.",
)
@click.option("--master", default="local[*]", show_default=True, help="Spark master of --engine "
              "spark: local[2], spark://HOST:PORT, yarn, k8s://...")  # fmt: skip
@click.option("--m3u", default="", metavar="DIR", help="Write a playlist a genre; needs --out CSV.")
@click.option("--link", default="", metavar="DIR", help="Link each file into DIR/GENRE; needs "
              "--out CSV.")  # fmt: skip
@click.option("--move", default="", metavar="DIR", help="Move each file into DIR/GENRE; needs "
              "--out CSV.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Print no line for a file without an error.")
@click.pass_context
def predict(
    ctx: click.Context,
    paths: tuple[str, ...],
    model: str,
    top_k: int,
    out: str,
    workers: int,
    engine: str,
    master: str,
    m3u: str,
    link: str,
    move: str,
    quiet: bool,
) -> None:
    """Print the genre of recordings and images: files, or folders with all below them.

    Exit code 2 when one of them cannot be read; the others are predicted all the same. A table
    that is there already is gone on with. Nothing is ever overwritten or moved unless asked for;
    what lies in the folder of --link or --move is not predicted.
    """
    check_output(out, (".csv", ".json"))
    check_sorting(out, m3u, link, move)
    from rich.console import Console

    from genre_mlflow.display import Progress
    from genre_mlflow.features.audio import mute_decoders
    from genre_mlflow.mlops import predicting, row_tables, sorting

    quiet_mlflow()
    mute_decoders()
    files = predicting.find_files(paths, (link, move))
    table = Path(out) if out else None
    with predicting.open_predictor(model) as predictor:
        if m3u:
            sorting.check_playlists(Path(m3u), predictor.genres)
        done = row_tables.paths_done(table, predictor.columns, predictor.digest)
        left = [file for file in files if predicting.place_of(file) not in done]
        width = min(WIDEST, max((len(predicting.name_of(file)) for file in left), default=0))
        counts: Counter[str] = Counter()
        with (
            row_tables.open_table(table, predictor.columns) as write,
            Progress(Console(), len(left), "songs") as progress,
        ):
            if engine == "spark" and left:
                from genre_mlflow.mlops.spark import predict_with_spark

                rows = predict_with_spark(left, predictor, model, master)
            else:
                rows = predicting.predict_files(left, predictor, workers)
            for row in rows:
                write(row)
                counts["errors" if row["error"] else str(row["genre"])] += 1
                if row["error"] or not quiet:
                    progress.say(predicting.to_line(row, top_k, width))
                progress.advance()
        click.echo(summary(counts, len(files) - len(left)), err=not out)
    failed = sort(table, predictor.genres, m3u, link, move)
    if counts["errors"] or failed:
        ctx.exit(USER_MISTAKE)


def check_sorting(out: str, m3u: str, link: str, move: str) -> None:
    """Refuse what cannot be asked for together. Raises `SettingsError`."""
    if link and move:
        raise SettingsError("--link and --move are both given; a file is linked or moved, not both")
    if (m3u or link or move) and not out.lower().endswith(".csv"):
        raise SettingsError(
            "--m3u, --link and --move are made from the table; add --out FILE that ends in .csv"
        )
    for name, folder in (("--link", link), ("--move", move)):
        if folder and Path(folder).exists() and not Path(folder).is_dir():
            raise SettingsError(f"{name} is {folder!r}, which is no folder")


def summary(counts: Counter[str], n_before: int) -> str:
    """How many files of each genre, how many errors, and how many the table had before."""
    parts = [f"{n} {name}" for name, n in counts.most_common() if name != "errors"]
    if counts["errors"]:
        parts.append(f"{counts['errors']} with an error")
    if n_before:
        parts.append(f"{n_before} in the table already")
    return f"\n{counts.total()} predicted: {', '.join(parts)}" if parts else "\nnothing to predict"


def sort(table: Path | None, genres: tuple[str, ...], m3u: str, link: str, move: str) -> int:
    """Playlists and folders from the whole table; return how many files could not be sorted."""
    from genre_mlflow.mlops import row_tables, sorting

    if table is None:
        return 0
    n_failed = 0
    if m3u:
        n_songs = sorting.write_playlists(row_tables.read_rows(table), Path(m3u), genres)
        click.echo(f"{n_songs} songs in the playlists in {m3u}")
    if link or move:
        rows = row_tables.read_rows(table)
        for path, reason in sorting.sort_files(rows, Path(link or move), move=bool(move)):
            click.echo(f"{path}  error: {reason}")
            n_failed += 1
        click.echo(f"{'Moved into' if move else 'Linked in'} {link or move}")
    return n_failed
