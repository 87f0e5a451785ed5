"""What is printed at the end of training: the result, and the exact commands to go on with."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

import mlflow

from genre_mlflow.mlops.pipeline import Outcome

UI_PORT = 5000


def summary(outcome: Outcome) -> str:
    """Test accuracy, the run, the version, and how to look at, serve and repeat it."""
    m = outcome.metrics
    role = "champion" if outcome.version == outcome.champion else "challenger"
    uri = f"models:/{outcome.model_name}@{role}"
    genre_mlflow = store_prefix() + program("genre-mlflow")
    lines = [
        "",
        f"Test accuracy {m['test_accuracy']:.1%} (95 % interval {m['test_accuracy_low']:.1%} to "
        f"{m['test_accuracy_high']:.1%}) on {outcome.n_test} tracks of {outcome.n_genres} genres, "
        f"macro F1 {m['test_macro_f1']:.3f}, best epoch {m['best_epoch']:.0f}",
        f"Run {outcome.run_id}, registered as {outcome.model_name} version {outcome.version} "
        f"({role})",
        "",
        f"  look at it      {look()}",
        f"  serve it        {genre_mlflow} serve --model {uri}",
        f"  your own music  {genre_mlflow} train --data /path/to/folder",
    ]
    if role == "challenger":
        lines.append(f"  promote it      {genre_mlflow} promote --model-name {outcome.model_name}")
    return "\n".join(lines)


def is_store_here() -> bool:
    """True for the store that MLflow would take in this folder by itself."""
    return mlflow.get_tracking_uri() == f"sqlite:///{Path.cwd()}/mlflow.db"


def store_prefix() -> str:
    """What a command needs in front of it to find the store."""
    return "" if is_store_here() else f"MLFLOW_TRACKING_URI={mlflow.get_tracking_uri()} "


def look() -> str:
    """How to open the MLflow UI, or where it is open."""
    uri = mlflow.get_tracking_uri()
    if urlsplit(uri).scheme in ("http", "https"):
        return uri
    store = "" if is_store_here() else f" --backend-store-uri {uri}"
    return f"{program('mlflow')} ui --port {UI_PORT}{store}"


def program(name: str) -> str:
    """A program of this environment, callable without activating it.

    The path is relative where the store is: there the user stands in this very folder, which a
    process started by `mlflow run` from elsewhere does not.
    """
    if sys.prefix == sys.base_prefix:
        return name
    path = Path(sys.prefix) / "bin" / name
    if is_store_here() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return str(path)
