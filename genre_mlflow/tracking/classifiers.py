"""Classifiers from a folder, or through MLflow from an address; MLflow is imported for the latter.

Its import takes seconds, which predicting with a folder need not wait for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genre_mlflow.model.classifier import Classifier, classifier_below


def load(model: str) -> Classifier:
    """A classifier from a registered version, a logged model or a folder.

    `model`: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `models:/MODEL_ID` or a path. Raises
    `ModelError` where there is none.
    """
    with classifier_folder(model) as folder:
        return Classifier.load(folder)


@contextmanager
def classifier_folder(model: str) -> Iterator[Path]:
    """The folder of a classifier on this machine, at least until the block ends."""
    if ":/" not in model:
        yield classifier_below(model, Path(model))
        return
    from genre_mlflow.tracking.artifacts import fetched, readable_place
    from genre_mlflow.tracking.store import find_store

    find_store()
    with fetched(model) as folder:
        yield classifier_below(f"{model}, kept in {readable_place(model)},", folder)
