"""The predictions table: one row a track, from which every metric and figure is derived."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from genre_mlflow.corpus.manifest import recordings
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import DataError
from genre_mlflow.model.aggregation import aggregate_logits
from genre_mlflow.model.classifier import BATCH, Classifier

LOGIT = "logit_"  # prefix of the columns with logits
TEXTS = ("track_id", "path", "split", "genre", "predicted", "group")
CONFIDENCE_DIGITS = 6  # that are written
SMALLEST = np.finfo(np.float32).tiny  # what a probability of 0 counts as, for its logarithm


def predict_tracks(
    classifier: Classifier, manifest: pd.DataFrame, tracks: TrackDataset
) -> pd.DataFrame:
    """Predictions for the rows of `manifest`, all of whose segments `tracks` holds, in its order.

    Columns: `track_id, path, split, genre` (the truth), `predicted, confidence, group,
    logit_<genre>...`, the logits float32 and finite. Their softmax is the track's probabilities:
    they are the network's own for a track of one segment, and the logarithms of the aggregated
    probabilities for one of several.
    """
    return answers_of(classifier, manifest, tracks.owners, segment_logits(classifier, tracks))


def segment_logits(classifier: Classifier, tracks: TrackDataset) -> Tensor:
    """What a classifier says of each segment of these tracks, `[segments, genres]`."""
    return torch.cat([classifier.logits(pixels) for pixels, _ in tracks.batches(BATCH)])


def answers_of(
    classifier: Classifier, manifest: pd.DataFrame, owners: Tensor, logits: Tensor
) -> pd.DataFrame:
    """The predictions table from logits of segments, `[segments, genres]`.

    `owners`: the row of each segment, `[segments]`.
    """
    whole = aggregate_logits(logits, owners, classifier.aggregation)
    return with_answers(manifest, whole.numpy(), classifier.genres)


def segment_table(
    manifest: pd.DataFrame, owners: Tensor, logits: Tensor, genres: Sequence[str]
) -> pd.DataFrame:
    """One row a segment: `track_id, split, segment` (of its track, from 0), `logit_<genre>...`."""
    rows = manifest.iloc[owners.numpy()][["track_id", "split"]].reset_index(drop=True)
    table = rows.assign(segment=rows.groupby("track_id").cumcount())
    return table.assign(**{f"{LOGIT}{g}": logits[:, i].numpy() for i, g in enumerate(genres)})


def read_segments(path: Path) -> pd.DataFrame:
    """Read a table of segments as it was written. Raises `DataError` for another table."""
    texts = ("track_id", "split")
    table = pd.read_csv(path, dtype=dict.fromkeys(texts, str), keep_default_na=False)
    if not {*texts} <= {*table.columns} or not genres_of(table):
        raise DataError(f"{path.name} is no table of segments")
    return table.astype({f"{LOGIT}{genre}": np.float32 for genre in genres_of(table)})


def with_answers(rows: pd.DataFrame, logits: np.ndarray, genres: Sequence[str]) -> pd.DataFrame:
    """The predictions table of these rows, which say what is known, from logits `[row, genre]`."""
    shares = softmax(logits)
    columns = {name: rows[name].to_numpy() for name in ("track_id", "path", "split", "genre")}
    columns["predicted"] = np.array(genres)[shares.argmax(axis=1)]
    columns["confidence"] = shares.max(axis=1)
    columns["group"] = rows["group"].to_numpy()
    return pd.DataFrame(columns | {f"{LOGIT}{g}": logits[:, i] for i, g in enumerate(genres)})


def by_recording(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row a recording, named after it: the units of every metric and interval.

    Tracks that are segments of one recording (`recordings` tells them by their names) answer as
    one, by the mean of their probabilities; the rest of the row is the first segment's. Whole
    recordings keep their rows. Copies are recordings of their own.
    """
    names = np.array(recordings(predictions))
    counts = pd.Series(names).groupby(names, sort=False).size().to_numpy()
    whole = predictions.assign(track_id=names).drop_duplicates("track_id", ignore_index=True)
    if len(whole) == len(predictions):
        return whole
    means = pd.DataFrame(probabilities(predictions)).groupby(names, sort=False).mean()
    joint = np.log(np.maximum(means.to_numpy(), SMALLEST)).astype(np.float32)
    logits = np.where(counts[:, None] > 1, joint, logits_of(whole))
    return with_answers(whole, logits, genres_of(predictions))


def genres_of(predictions: pd.DataFrame) -> list[str]:
    """Genres that the table gives logits for, in its order."""
    names = [str(column) for column in predictions.columns]
    return [name.removeprefix(LOGIT) for name in names if name.startswith(LOGIT)]


def logits_of(predictions: pd.DataFrame) -> np.ndarray:
    """The logits, float32 `[track, genre]`."""
    columns = [f"{LOGIT}{genre}" for genre in genres_of(predictions)]
    return predictions[columns].to_numpy(np.float32)


def probabilities(predictions: pd.DataFrame) -> np.ndarray:
    """Probabilities, float64 `[track, genre]`, 0 to 1, each row sums to 1."""
    return softmax(logits_of(predictions))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities, float64 `[row, genre]`, from logits of that shape."""
    return torch.from_numpy(logits.astype(np.float64)).softmax(dim=1).numpy()


def write_predictions(predictions: pd.DataFrame, path: Path) -> None:
    """Write the table as CSV; the logits keep all their digits."""
    predictions.round({"confidence": CONFIDENCE_DIGITS}).to_csv(path, index=False)


def read_predictions(path: Path) -> pd.DataFrame:
    """Read what `write_predictions` wrote; a genre may be called NA, or 1990.

    Raises `DataError` for a table of another version.
    """
    table = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False)
    if not {*TEXTS} <= {*table.columns} or not genres_of(table):
        raise DataError(
            f"{path.name} was written by another version of genre-mlflow; train the model anew"
        )
    return table.astype({f"{LOGIT}{genre}": np.float32 for genre in genres_of(table)})


def part(predictions: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of one split."""
    return predictions[predictions["split"] == split]


def worst_mistakes(predictions: pd.DataFrame, n: int) -> pd.DataFrame:
    """The `n` wrong answers that were given with the highest confidence, that first."""
    wrong = predictions[predictions["genre"] != predictions["predicted"]]
    return wrong.sort_values(["confidence", "track_id"], ascending=[False, True]).head(n)
