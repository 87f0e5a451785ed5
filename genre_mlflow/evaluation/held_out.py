"""Answers to tracks that whoever answers has not learnt from: what calibration is fitted to."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from genre_mlflow.corpus.manifest import recordings
from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.calibration import FEWEST, fit_temperature
from genre_mlflow.evaluation.predictions import genres_of, logits_of, with_answers
from genre_mlflow.model.aggregation import aggregate_logits

PART = "part"  # column of `rows`: the fold whose classifier answers, from 0


@dataclass(frozen=True)
class HeldOut:
    """Tracks with the logits that their segments got, over no temperature.

    `rows`: of the manifest, a track each; `logits`: `[segments, genres]`; `owners`: the row of each
    segment, int64 `[segments]`; `genres`: those of the logits; `source`: the tracks' name in a
    sentence, and `how` what follows it there: by whom they were answered for.
    """

    rows: pd.DataFrame
    logits: Tensor
    owners: Tensor
    genres: tuple[str, ...]
    source: str
    how: str = ""

    @classmethod
    def pooled(cls, parts: Sequence[Self], source: str, how: str = "") -> Self:
        """The answers of several classifiers, each to other tracks; `PART` tells whose they are."""
        rows = [part.rows.assign(**{PART: number}) for number, part in enumerate(parts)]
        before = [sum(map(len, rows[:number])) for number in range(len(rows))]
        owners = [part.owners + n for part, n in zip(parts, before, strict=True)]
        logits = torch.cat([part.logits for part in parts])
        joined = pd.concat(rows, ignore_index=True)
        return cls(joined, logits, torch.cat(owners), parts[0].genres, source, how)

    @classmethod
    def from_tables(cls, predictions: pd.DataFrame, segments: pd.DataFrame, source: str) -> Self:
        """The answers of a table of tracks and the table of their segments.

        Raises `DataError` for tables that are not of the same tracks and genres.
        """
        strange = {*predictions["track_id"]} ^ {*segments["track_id"]}
        if strange:
            raise DataError(f"{min(strange)} is in one of the tables of tracks and segments alone")
        if genres_of(predictions) != genres_of(segments):
            raise DataError("the tables of tracks and segments have not the same genres")
        rows = predictions.reset_index(drop=True)
        places = pd.Series(rows.index, index=rows["track_id"])
        owners = torch.tensor(places[segments["track_id"]].to_numpy())
        logits = torch.tensor(logits_of(segments))
        return cls(rows, logits, owners, tuple(genres_of(segments)), source)

    @cached_property
    def recording(self) -> Tensor:
        """The recording of each row, int64 `[rows]`, from 0 in the order of their first rows."""
        parts = self.rows[PART].to_numpy() if PART in self.rows else np.zeros(len(self.rows))
        names = np.empty(len(self.rows), object)
        for part in np.unique(parts):  # repeats have the same ones, each for itself
            own = parts == part
            names[own] = [f"{part} {name}" for name in recordings(self.rows[own])]
        return torch.tensor(pd.factorize(names)[0])

    @property
    def n(self) -> int:
        """Recordings; one that several repeats answer for is still one."""
        return len({*recordings(self.rows.drop_duplicates("track_id"))})

    @cached_property
    def labels(self) -> Tensor:
        """The genre of each recording as its place in `genres`, int64, in each part anew."""
        places = {genre: place for place, genre in enumerate(self.genres)}
        first = ~pd.Series(self.recording.numpy()).duplicated().to_numpy()
        return torch.tensor([places[genre] for genre in self.rows["genre"][first]])

    def temperature(self, aggregation: str) -> float | None:
        """What to divide logits by, see `fit_temperature`; None for fewer than `FEWEST` of them."""
        if self.n < FEWEST:
            return None
        owners = self.recording[self.owners]
        return fit_temperature(self.logits, owners, self.labels, aggregation)

    def answers(self, aggregation: str, temperature: float = 1.0) -> pd.DataFrame:
        """The predictions table of the rows, from logits over a temperature."""
        whole = aggregate_logits(self.logits / temperature, self.owners, aggregation)
        return with_answers(self.rows, whole.numpy(), self.genres)

    @property
    def words(self) -> str:
        """The tracks for the middle of a sentence: `the 48 tracks of validation`."""
        return f"the {self.n} tracks of {self.source}{self.how}"
