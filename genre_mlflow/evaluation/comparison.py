"""Two models, or two sets of trainings, side by side: what the one is better by, and where.

Pure functions of predictions tables of the same tracks; segments of one recording are one track.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genre_mlflow.corpus.manifest import components
from genre_mlflow.errors import DataError
from genre_mlflow.evaluation.predictions import genres_of
from genre_mlflow.evaluation.statistics import (
    Disagreement,
    Interval,
    accuracy_difference,
    check_same_tracks,
    mcnemar,
    right,
)
from genre_mlflow.files.words import counted


@dataclass(frozen=True)
class Comparison:
    """What side A has before side B on the same `n` tracks.

    `a`, `b`: accuracy, 0 to 1, of several tables their mean. `over_tracks`, `over_groups`: A less
    B, -1 to 1, with its bootstrap interval; None where all tracks are of one group. `mcnemar`: None
    for several tables on a side. `genres`: a row a genre with `genre, tracks, a_right, b_right,
    a_alone, b_alone, difference`. `tracks`: those that the sides answer differently, what A alone
    gets right first, with `track_id, group, genre, a, b, a_right, b_right`; of several tables
    `..._right` is the share of them, 0 to 1.
    """

    n: int
    a: float
    b: float
    over_tracks: Interval
    over_groups: Interval | None
    mcnemar: Disagreement | None
    genres: pd.DataFrame
    tracks: pd.DataFrame

    @property
    def difference(self) -> Interval:
        """A less B with the interval that counts: over groups where there are several."""
        return self.over_groups or self.over_tracks

    @property
    def in_words(self) -> str:
        """`+2.1 points (95 % interval -1.7 to +5.9, over 290 tracks)`."""
        gain, over = self.difference, counted(self.n, "track")
        if gain.n < self.n:
            over = f"{counted(gain.n, 'group')} of {over}"
        ends = f"95 % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f}, over {over}"
        return f"{100 * gain.mean:+.1f} points ({ends})"

    @property
    def tells_apart(self) -> bool:
        """Whether 0 is outside that interval."""
        return self.difference.low > 0 or self.difference.high < 0


def compare(ones: Sequence[pd.DataFrame], others: Sequence[pd.DataFrame]) -> Comparison:
    """Compare predictions tables, one or more (by seed) on side A and on side B.

    Raises `DataError` for tables of other genres or other tracks, and for fewer than two tracks.
    """
    check_same_genres([*ones, *others])
    tables = check_same_tracks([*ones, *others])
    group = joined_groups(tables)
    tables = [table.assign(group=group) for table in tables]
    parts = tables[: len(ones)], tables[len(ones) :]
    rows = side_by_side(*parts)
    several = group.nunique() > 1
    return Comparison(
        n=len(rows),
        a=float(rows["a_right"].mean()),
        b=float(rows["b_right"].mean()),
        over_tracks=accuracy_difference(*parts),
        over_groups=accuracy_difference(*parts, by_group=True) if several else None,
        mcnemar=mcnemar(*tables) if len(tables) == 2 else None,
        genres=by_genre(rows),
        tracks=answered_differently(rows),
    )


def check_same_genres(tables: Sequence[pd.DataFrame]) -> None:
    """Raise `DataError` for models that choose among other genres: their tasks are not the same."""
    first = {*genres_of(tables[0])} if tables else set()
    for table in tables[1:]:
        if {*genres_of(table)} != first:
            raise DataError(
                "models can be compared that know the same genres; these know "
                f"{', '.join(sorted(first))} and {', '.join(sorted(genres_of(table)))}"
            )


def joined_groups(tables: Sequence[pd.DataFrame]) -> "pd.Series[str]":
    """One group for what is one group in any of the tables, named after its first track.

    A training may know the artists and another not.
    """
    first = tables[0]
    number = components(first["track_id"], first["group"])
    for table in tables[1:]:
        number = components(number, table["group"])
    return first.groupby(number)["track_id"].transform("first")


def side_by_side(ones: Sequence[pd.DataFrame], others: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One row a track: what each side answers, and the share of its tables that are right."""
    rows = ones[0][["track_id", "group", "genre"]]
    for name, part in (("a", ones), ("b", others)):
        said = np.array([table["predicted"] for table in part], object).T
        shares = np.mean([right(table) for table in part], axis=0)
        answers = [", ".join(dict.fromkeys(answer)) for answer in said]
        rows = rows.assign(**{name: answers, f"{name}_right": shares})
    return rows


def by_genre(rows: pd.DataFrame) -> pd.DataFrame:
    """Gains and losses in tracks, one row a genre in the alphabet's order."""
    gain, loss = rows["a_right"] - rows["b_right"], rows["b_right"] - rows["a_right"]
    parts = rows.assign(a_alone=gain.clip(lower=0), b_alone=loss.clip(lower=0))
    sums = parts.groupby("genre")[["a_right", "b_right", "a_alone", "b_alone"]].sum()
    sums.insert(0, "tracks", parts.groupby("genre").size())
    return sums.assign(difference=sums["a_alone"] - sums["b_alone"]).reset_index()


def answered_differently(rows: pd.DataFrame) -> pd.DataFrame:
    """The tracks with two answers: those that A gets right first, those of B last."""
    rows = rows.assign(gain=rows["a_right"] - rows["b_right"])
    found = rows[(rows["a"] != rows["b"]) | (rows["gain"] != 0)]
    found = found.sort_values(["gain", "track_id"], ascending=[False, True], ignore_index=True)
    return found.drop(columns="gain")
