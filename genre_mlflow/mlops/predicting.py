"""Genres of files on disk, as a table."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from genre_mlflow.corpus.manifest import BadFile, look_below
from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.predictions import PROBABILITY
from genre_mlflow.mlops.registry import load
from genre_mlflow.model.classifier import Classifier


def predict_paths(paths: Sequence[str], model: str) -> pd.DataFrame:
    """One row a file: `path, genre, confidence, error, p_<genre>...`.

    Folders stand for all files below them. A file that cannot be read has `error` and no genre.
    Raises `DataError` for a path that does not exist.
    """
    below = [files_of(Path(path)) for path in paths]
    classifier = load(model)
    rows = [predict_file(classifier, file) for files, _ in below for file in files]
    rows += [failure(bad.path, bad.reason) for _, unreadable in below for bad in unreadable]
    return pd.DataFrame(rows)


def files_of(path: Path) -> tuple[list[Path], list[BadFile]]:
    """The file itself, or the files below a folder and what cannot be read there."""
    if not path.exists():
        raise DataError(f"{path} does not exist")
    return look_below(path) if path.is_dir() else ([path], [])


def predict_file(classifier: Classifier, file: Path) -> dict[str, object]:
    """One row of the table."""
    try:
        prediction = classifier.predict(file)
    except DataError as error:
        return failure(file, str(error).removeprefix(f"{file} "))
    probabilities = {f"{PROBABILITY}{g}": p for g, p in prediction.probabilities.items()}
    answer = {"genre": prediction.genre, "confidence": prediction.confidence, "error": ""}
    return {"path": str(file), **answer, **probabilities}


def failure(path: Path, reason: str) -> dict[str, object]:
    """The row of what cannot be read."""
    return {"path": str(path), "genre": "", "confidence": float("nan"), "error": reason}


def write_table(table: pd.DataFrame, path: Path) -> None:
    """CSV, or JSON with one object a file."""
    if path.suffix.lower() == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_json(path, orient="records", indent=2)


def to_lines(table: pd.DataFrame, top_k: int) -> list[str]:
    """One line a file: its path and its most probable genres, or what is wrong with it."""
    width = max(len(path) for path in table["path"])
    return [f"{row['path']:{width}}  {answer(row, top_k)}" for row in table.to_dict("records")]


def answer(row: dict[Hashable, Any], top_k: int) -> str:
    """The most probable genres of a row with their probabilities."""
    if row["error"]:
        return f"error: {row['error']}"
    found = {str(k).removeprefix(PROBABILITY): v for k, v in row.items() if is_probability(str(k))}
    ranked = sorted(found.items(), key=lambda item: -item[1])[:top_k]
    return "  ".join(f"{genre} {probability:.3f}" for genre, probability in ranked)


def is_probability(column: str) -> bool:
    """True for the columns `p_<genre>`."""
    return column.startswith(PROBABILITY)
