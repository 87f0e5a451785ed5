"""Genres of files on disk, as a table."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from genre_mlflow.corpus.manifest import tracks_in
from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.predictions import PROBABILITY
from genre_mlflow.mlops.registry import load
from genre_mlflow.model.classifier import Classifier


def predict_paths(paths: Sequence[str], model: str) -> pd.DataFrame:
    """One row a file: `path, genre, confidence, error, p_<genre>...`.

    Folders stand for all files below them. A file that cannot be read has `error` and no genre.
    Raises `DataError` for a path that does not exist.
    """
    files = [file for path in paths for file in files_of(Path(path))]
    classifier = load(model)
    return pd.DataFrame([predict_file(classifier, file) for file in files])


def files_of(path: Path) -> list[Path]:
    """The file itself, or the files below a folder."""
    if not path.exists():
        raise DataError(f"{path} does not exist")
    files = tracks_in(path) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path} holds no files")
    return files


def predict_file(classifier: Classifier, file: Path) -> dict[str, object]:
    """One row of the table."""
    try:
        prediction = classifier.predict(file)
    except DataError as error:
        reason = str(error).removeprefix(f"{file} ")
        return {"path": str(file), "genre": "", "confidence": float("nan"), "error": reason}
    probabilities = {f"{PROBABILITY}{g}": p for g, p in prediction.probabilities.items()}
    answer = {"genre": prediction.genre, "confidence": prediction.confidence, "error": ""}
    return {"path": str(file), **answer, **probabilities}


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
