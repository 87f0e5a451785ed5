"""The predictions table: one row a track, from which every metric and figure is derived."""

import numpy as np
import pandas as pd
import torch

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.model.aggregation import aggregate
from genre_mlflow.model.classifier import BATCH, Classifier

PROBABILITY = "p_"  # prefix of the columns with probabilities


def predict_tracks(
    classifier: Classifier, manifest: pd.DataFrame, tracks: TrackDataset
) -> pd.DataFrame:
    """Predictions for the rows of `manifest`, all of whose segments `tracks` holds, in its order.

    Columns: `track_id, split, genre, predicted, confidence, p_<genre>...`; probabilities are 0 to
    1 and sum to 1 in each row.
    """
    parts = [classifier.probabilities(pixels) for pixels, _ in tracks.batches(BATCH)]
    whole = aggregate(torch.cat(parts), tracks.owners, classifier.aggregation)
    probabilities = whole.numpy().astype(np.float64)
    best = probabilities.argmax(axis=1)
    columns = {f"{PROBABILITY}{g}": probabilities[:, i] for i, g in enumerate(classifier.genres)}
    return pd.DataFrame(
        {
            "track_id": manifest["track_id"].to_numpy(),
            "split": manifest["split"].to_numpy(),
            "genre": manifest["genre"].to_numpy(),
            "predicted": np.array(classifier.genres)[best],
            "confidence": probabilities.max(axis=1),
            **columns,
        }
    )


def genres_of(predictions: pd.DataFrame) -> list[str]:
    """Genres that the table gives probabilities for, in its order."""
    names = [str(column) for column in predictions.columns]
    return [name.removeprefix(PROBABILITY) for name in names if name.startswith(PROBABILITY)]


def part(predictions: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of one split."""
    return predictions[predictions["split"] == split]


def worst_mistakes(predictions: pd.DataFrame, n: int) -> pd.DataFrame:
    """The `n` wrong answers that were given with the highest confidence, that first."""
    wrong = predictions[predictions["genre"] != predictions["predicted"]]
    return wrong.sort_values(["confidence", "track_id"], ascending=[False, True]).head(n)
