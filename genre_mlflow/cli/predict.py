"""The command `predict`: the genres of a library, as lines, tables, playlists and folders."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genre_mlflow import signals
from genre_mlflow.cli.base import USER_MISTAKE, OneLineErrors, echo, heavy_imports, quiet_mlflow
from genre_mlflow.cli.options import MODEL_OPTION, check_length, check_output
from genre_mlflow.corpus.folders import check_paths
from genre_mlflow.errors import SettingsError
from genre_mlflow.files.names import escaped, file_names, printable
from genre_mlflow.files.words import counted
from genre_mlflow.library import MOST_WORKERS
from genre_mlflow.library.table import lock_beside, moves_beside
from genre_mlflow.model.settings import check_model

if TYPE_CHECKING:
    from genre_mlflow.corpus.folders import BadFile
    from genre_mlflow.library.predict import Predictor, Row

ENGINES = ("local", "spark")
WIDEST = 60  # characters of a path before its answer
NO_LIMITS = "too few tracks were held out in training; shown are as many as --top names"


@dataclass(frozen=True)
class Sorting:
    """Where playlists, links and files are to go; empty: nowhere."""

    m3u: str
    link: str
    move: str

    def check(self, out: str) -> None:
        """Refuse what cannot be asked for together, or is in the way. Raises `SettingsError`."""
        if self.link and self.move:
            raise SettingsError(
                "--link and --move are both given; a file is linked or moved, not both"
            )
        if out.lower().endswith(".json") and os.path.lexists(out):
            raise SettingsError(f"--out {out} is there already; name another, or move it away")
        if (self.m3u or self.link or self.move) and not out.lower().endswith(".csv"):
            raise SettingsError(
                "--m3u, --link and --move are made from the table; add --out FILE that ends in .csv"
            )
        if self.move:
            moves = moves_beside(Path(out))
            check_length(moves, f"--move notes the moves in {moves.name!r}, beside --out")
        for name, folder in vars(self).items():
            if folder and Path(folder).exists() and not Path(folder).is_dir():
                raise SettingsError(f"--{name} is {folder!r}, which is no folder")

    def results(self, table: Path | None, names: Mapping[str, str]) -> Iterator[Path]:
        """Our own files, and folders with sorted ones, which may lie in the library."""
        from genre_mlflow.library import playlists

        if table is not None:
            for one in (table, moves_beside(table)):
                yield from (one, lock_beside(one))
        if self.m3u:
            yield from playlists.playlists(Path(self.m3u), names).values()
        if self.link or self.move:
            yield from (Path(self.link or self.move, name) for name in names.values())


@click.command(cls=OneLineErrors)
@click.argument("paths", nargs=-1, required=True)
@MODEL_OPTION
@click.option(
    "--top", "--top-k", "top_k", default=3, show_default=True, type=click.IntRange(min=1),
    help="Genres to show for each file.",
)  # fmt: skip
@click.option(
    "--likely", is_flag=True,
    help="Show all likely genres instead: so many that the right one is mostly among them.",
)  # fmt: skip
@click.option("--out", default="", metavar="FILE", help="Write a table: .csv, which is gone on "
              "with when it is there, or .json.")  # fmt: skip
@click.option(
    "--workers", default=0, show_default=True, type=click.IntRange(0, MOST_WORKERS),
    help="Processes; 0: by itself.",
)  # fmt: skip
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
    likely: bool,
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

    Of a folder, files that are no music by name and content are left out, and so are images if
    it holds recordings; the summary counts them. A file that is named is predicted in any case.

    Behind the genres stands `unsure` where the confidence is too low for the precision that was
    asked for in training, and `foreign` where it sounds like nothing that the model has learnt.

    Exit code 2 when one of them cannot be read; the others are predicted all the same. A table
    that is there already is gone on with. No file is moved unless asked for, and none overwritten.
    What lies in DIR/GENRE of --link or --move counts as sorted, and is not predicted: with the
    folder of the music itself as DIR, what is new in it is sorted. --move notes each move in a
    table beside that of --out.
    """
    check_output(out, (".csv", ".json"))
    sorting = Sorting(m3u, link, move)
    sorting.check(out)
    table = Path(out) if out else None
    if table is None or not table.exists():
        check_paths(paths)
    check_model(model)  # all of this before the seconds of the imports
    with loaded(model, table) as predictor:
        from genre_mlflow.library import files as library
        from genre_mlflow.library import playlists
        from genre_mlflow.library import table as tables
        from genre_mlflow.library.predict import to_line
        from genre_mlflow.library.sorting import moves_of

        if likely and predictor.classifier.doubt.likely_from is None:
            echo(f"Nobody knows which genres are likely: {NO_LIMITS}", err=True)
        names = file_names(predictor.genres)
        if m3u:
            playlists.check_playlists(Path(m3u), names)
        known = tables.read_done(table, predictor.columns, predictor.digest, predictor.genres)
        moves = moves_of(moves_beside(table)) if table else {}
        done = known.paths(moves)
        found = library.find_files(paths, sorting.results(table, names), done, moves.keys())
        left = [file for file in found.files if library.place_of(file) not in done]
        rows = rows_of(left, predictor, model, workers, engine, master)
        shown = partial(to_line, top_k=top_k, likely=likely)
        counts = write_rows(rows, left, predictor, table, shown, quiet)
        echo(summary(counts, len(done), library.in_words(found.left_out)), err=not out)
        with signals.between_steps():
            n_failed = sort(table, names, sorting)
    if counts[""] or n_failed or known.errors & set(map(library.place_of, found.files)):
        ctx.exit(USER_MISTAKE)


@contextmanager
def loaded(model: str, table: Path | None) -> "Iterator[Predictor]":
    """The predictor, once the heavy packages are imported, and the table kept for this process."""
    with ExitStack() as stack:
        with heavy_imports():
            from genre_mlflow.features.muting import muted_decoders
            from genre_mlflow.library.predict import open_predictor
            from genre_mlflow.library.table import hold

            quiet_mlflow()
            stack.enter_context(muted_decoders())
            predictor = stack.enter_context(open_predictor(model))
        stack.enter_context(hold(table))
        yield predictor


def write_rows(
    rows: "Iterator[Row]",
    files: "list[Path | BadFile]",
    predictor: "Predictor",
    table: Path | None,
    shown: Callable[..., str],
    quiet: bool,
) -> Counter[str]:
    """Write and show each row as it comes; return how many there are of each answer."""
    from rich.console import Console

    from genre_mlflow.cli.bars import Progress
    from genre_mlflow.library.files import name_of
    from genre_mlflow.library.table import open_table

    width = min(WIDEST, max((len(name_of(file)) for file in files), default=0))
    counts: Counter[str] = Counter()
    with (
        signals.between_steps(),
        open_table(table, predictor.columns) as write,
        Progress(Console(), len(files), "songs") as progress,
    ):
        for row in rows:
            signals.check()
            write({**row, "path": os.path.abspath(str(row["path"]))})
            counts[str(row["predicted"])] += 1
            if row["error"] or not quiet:
                progress.say(shown(row, width=width))
            progress.advance()
    return counts


def rows_of(
    files: "list[Path | BadFile]",
    predictor: "Predictor",
    model: str,
    workers: int,
    engine: str,
    master: str,
) -> "Iterator[Row]":
    """A row a file, from one of the engines."""
    if engine == "spark" and files:
        from genre_mlflow.library.spark import predict_with_spark

        return predict_with_spark(files, predictor, model, master)
    return predictor.predict_files(files, workers)


def summary(counts: Counter[str], n_before: int, left_out: str) -> str:
    """How many files of each genre, how many errors, how many the table had, what was left out."""
    parts = [f"{n:,} {escaped(genre)}" for genre, n in counts.most_common() if genre]
    if counts[""]:
        parts.append(f"{counts['']:,} with an error")
    if n_before:
        parts.append(f"{n_before:,} in the table already")
    nothing = "nothing left to be" if n_before else "nothing to be"
    n_files = f"{counts.total():,}" if counts.total() else nothing
    lines = ["", f"{n_files} predicted{': ' if parts else ''}{', '.join(parts)}"]
    return "\n".join([*lines, f"left out: {left_out}"] if left_out else lines)


def sort(table: Path | None, names: Mapping[str, str], sorting: Sorting) -> int:
    """Folders and playlists from the whole table; return how many files could not be sorted."""
    from genre_mlflow.library import playlists
    from genre_mlflow.library import table as tables
    from genre_mlflow.library.sorting import link_files, move_files, moves_of, with_places

    n_failed = 0
    if table is None:
        return n_failed
    moves = moves_beside(table)

    def songs() -> Iterator[tuple[dict[str, str], bool]]:
        return with_places(tables.read_rows(table), moves_of(moves))

    if sorting.link or sorting.move:
        folder = Path(sorting.link or sorting.move)
        rows = (row for row, is_moved in songs() if not is_moved)
        failures = (
            link_files(rows, folder, names)
            if sorting.link
            else move_files(rows, folder, names, moves)
        )
        for path, reason in failures:
            echo(f"{printable(path)}  error: {escaped(reason)}")
            n_failed += 1
        echo(f"{'Linked in' if sorting.link else 'Moved into'} {folder}")
    if sorting.m3u:
        n_songs, n_left_out = playlists.write_playlists(
            (row for row, _ in songs()), Path(sorting.m3u), names
        )
        left_out = f", {n_left_out} with a line break in the name left out" if n_left_out else ""
        echo(f"{counted(n_songs, 'song')} in the playlists in {sorting.m3u}{left_out}")
    return n_failed
