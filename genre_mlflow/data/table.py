"""Rows of a table of features in place of decoded files."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from genre_mlflow.errors import DataError
from genre_mlflow.features.table import FeatureTable


class FeatureRows:
    """A row of numbers for each file of a manifest, as a cache of pixels has its segments.

    `pixels`: float32 `[tracks, 1, 1, features]`; `span`: the row of a file, one each, by its
    SHA-256. `rows`: the name of the row by that of the track.
    """

    def __init__(
        self, manifest: pd.DataFrame, table: FeatureTable, rows: Mapping[str, str]
    ) -> None:
        place = {name: place for place, name in enumerate(table.tracks)}
        chosen = [place[rows[track]] for track in manifest["track_id"]]
        self.pixels = table.numbers[chosen][:, None, None, :]
        self.span = {sha: (place, 1) for place, sha in enumerate(manifest["sha256"])}
        check_copies(manifest, self.pixels, self.span)


def check_copies(
    manifest: pd.DataFrame,
    numbers: npt.NDArray[np.float32],
    span: Mapping[str, tuple[int, int]],
) -> None:
    """Refuse copies of one file with other numbers. Raises `DataError`."""
    pairs = zip(manifest["track_id"], manifest["sha256"], strict=True)
    for place, (track, sha) in enumerate(pairs):
        other = span[sha][0]
        if not np.array_equal(numbers[place], numbers[other]):
            raise DataError(
                f"{track!r} and {manifest['track_id'].iloc[other]!r} are copies of one file, but "
                "their rows in the table differ"
            )
