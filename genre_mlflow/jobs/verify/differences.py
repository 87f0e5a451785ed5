"""What a run has recorded, against what is found anew, one row each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from math import isclose, isnan

import numpy as np
import pandas as pd

from genre_mlflow.evaluation.predictions import genres_of, probabilities

FIGURE_TOLERANCE = 1e-4  # a tenth of the last digit that is printed of a share
PROBABILITY_TOLERANCE = 1e-4  # processors round differently, some 1e-6


@dataclass(frozen=True)
class Difference:
    """What differs, as it was recorded and as it is now; empty where it is not there."""

    what: str
    recorded: str
    now: str


def figures(recorded: Mapping[str, float], now: Mapping[str, float]) -> list[Difference]:
    """Those of `now` that are not recorded so."""
    return [
        Difference(name, shown(recorded.get(name)), shown(value))
        for name, value in now.items()
        if not agree(recorded.get(name, float("nan")), value)
    ]


def agree(one: float, other: float) -> bool:
    """Whether two figures are one, but for the rounding of processors."""
    if isnan(one) or isnan(other):
        return isnan(one) and isnan(other)
    return isclose(one, other, rel_tol=0, abs_tol=FIGURE_TOLERANCE)


def shown(value: float | None) -> str:
    """A figure for people."""
    return "" if value is None else f"{value:.6g}"


def answers(recorded: pd.DataFrame, now: pd.DataFrame) -> list[Difference]:
    """Tracks of two predictions tables with another truth, group, split, or other probabilities."""
    if genres_of(recorded) != genres_of(now):
        return [Difference("genres", ", ".join(genres_of(recorded)), ", ".join(genres_of(now)))]
    ones, others = (
        table.drop_duplicates("track_id").set_index("track_id") for table in (recorded, now)
    )
    both = ones.index.intersection(others.index, sort=False)
    gone, new = ones.index.difference(both, sort=False), others.index.difference(both, sort=False)
    here, there = ones.loc[both], others.loc[both]
    far = np.abs(probabilities(here) - probabilities(there)).max(axis=1) > PROBABILITY_TOLERANCE
    known = ["split", "genre", "predicted", "group"]
    unlike = (here[known] != there[known]).any(axis=1).to_numpy()
    return [
        *(Difference(f"answer for {track}", answer(ones, track), "") for track in gone),
        *(Difference(f"answer for {track}", "", answer(others, track)) for track in new),
        *(
            Difference(f"answer for {track}", answer(ones, track), answer(others, track))
            for track in both[far | unlike]
        ),
    ]


def answer(table: pd.DataFrame, track: str) -> str:
    """What is said of one track, and what is true of it."""
    columns = ["predicted", "confidence", "split", "genre", "group"]
    said, confidence, side, genre, group = table.loc[[track], columns].values.tolist()[0]
    return f"{said} {confidence:.4f} ({side}, {genre}, group {group})"


def lines(name: str, recorded: Sequence[str], now: Sequence[str]) -> list[Difference]:
    """The lines of a file that differ, as pairs."""
    return [
        Difference(f"{name}, line {i + place + 1}", old, new)
        for i, olds, news in apart(recorded, now)
        for place, (old, new) in enumerate(zip_longest(olds, news, fillvalue=""))
    ]


def words(name: str, recorded: Sequence[str], now: Sequence[str]) -> list[Difference]:
    """The words of a file that differ, as many as stand together."""
    return [Difference(name, " ".join(old), " ".join(new)) for _, old, new in apart(recorded, now)]


Apart = tuple[int, Sequence[str], Sequence[str]]


def apart(recorded: Sequence[str], now: Sequence[str]) -> list[Apart]:
    """Where two sequences differ: the place in the first, and the part of each."""
    if recorded == now:
        return []
    steps = SequenceMatcher(None, recorded, now, autojunk=False).get_opcodes()
    return [(i, recorded[i:j], now[k:m]) for tag, i, j, k, m in steps if tag != "equal"]
