"""Models that MLflow can serve: where their files lie. Imports MLflow, and no torch."""

import shutil
import tempfile
from pathlib import Path

from mlflow.artifacts import download_artifacts
from mlflow.models.model import MLMODEL_FILE_NAME

from genre_mlflow.errors import ModelError
from genre_mlflow.tracking.artifacts import (
    WITHOUT_BARS,
    artifact_errors,
    check_is_there,
    local_path,
    place_of,
    readable_place,
)
from genre_mlflow.tracking.store import environment, find_store


def servable_folder(model: str) -> tuple[Path, bool]:
    """The folder of a model on this machine, and whether it is a copy, to be deleted by the caller.

    Raises `ModelError` for what MLflow cannot serve; an epoch's checkpoint, for one.
    """
    if ":/" in model:
        find_store()
    with artifact_errors(model):
        place = place_of(model)
        check_is_there(model, place)
        folder = local_path(place)
    if folder is None:
        return downloaded(model), True
    check_servable(folder, model)
    return folder, False


def downloaded(model: str) -> Path:
    """A copy of a model that MLflow can serve; none is left where that fails."""
    copy = Path(tempfile.mkdtemp(prefix="genre-mlflow-"))
    try:
        with artifact_errors(model), environment(WITHOUT_BARS):
            folder = Path(download_artifacts(artifact_uri=model, dst_path=str(copy)))
        check_servable(folder, model)
    except BaseException:
        shutil.rmtree(copy, ignore_errors=True)
        raise
    return folder


def check_servable(folder: Path, model: str) -> None:
    """Raise `ModelError` where a folder is none that MLflow can serve."""
    if not (folder / MLMODEL_FILE_NAME).exists():
        raise ModelError(
            f"{model} cannot be served: it has no {MLMODEL_FILE_NAME} in "
            f"{readable_place(model)}; registered versions have one"
        )
