"""Music-genre classifiers: trained, tracked, registered and served on PyTorch and MLflow."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genre_mlflow.model.classifier import Classifier

__all__ = ["load"]


def load(model: str = "") -> "Classifier":
    """A classifier from a registered version, a logged model or a folder.

    `model`: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `models:/MODEL_ID` or a path; empty for
    the champion of `genre-classifier`. Its `predict` takes the bytes or the path of a recording or
    an image, its `network` is the torch module. Raises `genre_mlflow.errors.ModelError` where
    there is none.
    """
    from genre_mlflow.model.settings import CHAMPION_URI
    from genre_mlflow.tracking.classifiers import load as load_classifier

    return load_classifier(model or CHAMPION_URI)
