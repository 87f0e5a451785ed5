"""The answers of a classifier to tracks that are disturbed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import torch
from torch import Tensor

from genre_mlflow.data.cache import known_bytes, naming
from genre_mlflow.evaluation.predictions import answers_of
from genre_mlflow.evaluation.robustness import robustness_table
from genre_mlflow.features.disturbances import DISTURBANCES, Disturber
from genre_mlflow.features.muting import muted_decoders
from genre_mlflow.model.classifier import BATCH, Classifier

AT_ONCE = 4  # files; one of an hour takes half a GB with all that is made of it

Progress = Callable[[int, int], None]


def disturbed_answers(
    classifier: Classifier, rows: pd.DataFrame, before: pd.DataFrame, progress: Progress
) -> pd.DataFrame:
    """The table of robustness of these rows of a manifest; `before`: what is said undisturbed.

    Raises `DataError` for a file that has changed since it was scanned.
    """
    disturber = Disturber(classifier.preprocessing)

    def read(item: tuple[str, str]) -> list[Tensor | None]:
        sha256, path = item
        with naming(path):
            return disturber(known_bytes(path, sha256), sha256)

    items = list(zip(rows["sha256"], rows["path"], strict=True))
    logits: list[list[Tensor]] = [[] for _ in DISTURBANCES]  # [disturbance][track]
    with muted_decoders(), ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, len(items), AT_ONCE):
            progress(start, len(items))
            for pictures in pool.map(read, items[start : start + AT_ONCE]):
                for said, one in zip(logits, pictures, strict=True):
                    said.append(answers(classifier, one))
    tables = [answered(classifier, rows, said) for said in logits]
    return robustness_table(before, list(zip(DISTURBANCES, tables, strict=True)))


def answers(classifier: Classifier, pictures: Tensor | None) -> Tensor:
    """Logits of segments, `[segments, genres]`; none where there are no pictures."""
    if pictures is None:
        return torch.empty(0, len(classifier.genres))
    return torch.cat([classifier.logits(batch) for batch in pictures.split(BATCH)])


def answered(classifier: Classifier, rows: pd.DataFrame, said: list[Tensor]) -> pd.DataFrame:
    """Predictions of the tracks of which there are logits."""
    counts = torch.tensor([len(one) for one in said])
    kept = rows[(counts > 0).numpy()]
    if kept.empty:
        return kept
    counts = counts[counts > 0]
    owners = torch.arange(len(counts)).repeat_interleave(counts)
    return answers_of(classifier, kept, owners, torch.cat(said))
