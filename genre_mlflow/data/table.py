"""Rows of a table of features in place of decoded files."""

from collections.abc import Mapping

import pandas as pd

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
