"""What disturbances of the sound change about the answers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from genre_mlflow.evaluation.intervals import mean_intervals
from genre_mlflow.evaluation.predictions import by_recording
from genre_mlflow.evaluation.statistics import right
from genre_mlflow.features.disturbances import UNITS, Disturbance

FIGURES = ("accuracy", "difference", "same")


def robustness_table(
    before: pd.DataFrame, after: Sequence[tuple[Disturbance, pd.DataFrame]]
) -> pd.DataFrame:
    """One row a disturbance, with 95 % intervals over groups of tracks.

    Columns: `change, amount, unit, tracks`, then with `_low` and `_high` each the `accuracy` on
    disturbed tracks, its `difference` from that on the same tracks as they are (-1 to 1), and the
    share with the `same` answer. `after`: the predictions of those tracks of `before` of which the
    disturbance can be had; where there is none, the figures are NaN.
    """
    rows = []
    for one, table in after:
        row = {"change": one.kind, "amount": one.amount, "unit": UNITS[one.kind]}
        whole = by_recording(table) if len(table) else table
        row["tracks"] = len(whole)
        if len(whole):
            plain = by_recording(before[before["track_id"].isin(table["track_id"])])
            row |= figures(plain, whole)
        rows.append(row)
    ends = [f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")]
    return pd.DataFrame(rows).reindex(columns=["change", "amount", "unit", "tracks", *ends])


def figures(plain: pd.DataFrame, changed: pd.DataFrame) -> dict[str, float]:
    """The figures of one disturbance; both tables hold the same recordings in one order."""
    is_right = right(changed).astype(float)
    same = (changed["predicted"] == plain["predicted"]).to_numpy(float)
    values = np.column_stack([is_right, is_right - right(plain), same])
    found: dict[str, float] = {}
    for name, one in zip(FIGURES, mean_intervals(values, plain["group"]), strict=True):
        found |= {name: one.mean, f"{name}_low": one.low, f"{name}_high": one.high}
    return found
