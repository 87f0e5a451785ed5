"""Models that MLflow can serve: where their files lie. Imports MLflow, and no torch."""

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
        folder, is_copy = local_path(place), False
        if folder is None:
            is_copy, copy = True, tempfile.mkdtemp(prefix="genre-mlflow-")
            with environment(WITHOUT_BARS):
                folder = Path(download_artifacts(artifact_uri=model, dst_path=copy))
    if not (folder / MLMODEL_FILE_NAME).exists():
        raise ModelError(
            f"{model} cannot be served: it has no {MLMODEL_FILE_NAME} in "
            f"{readable_place(model)}; registered versions have one"
        )
    return folder, is_copy
