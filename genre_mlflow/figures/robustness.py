"""What disturbances of the sound change about the answers, as a figure."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from genre_mlflow.features.disturbances import Disturbance

ROW_INCHES = 0.3
COLOURS = ("#4477aa", "#cc6677")  # told apart by the colour-blind too


def robustness_figure(table: pd.DataFrame) -> Figure:
    """Two columns of marks with 95 % intervals, a row a disturbance: points of accuracy that it
    costs or brings, and the share of answers that stay. A disturbance that no track has is named.

    `table` as `evaluation.robustness.robustness_table` gives it.
    """
    figure = Figure(figsize=(9, 1.3 + ROW_INCHES * len(table)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    rows = np.arange(len(table))
    for axes, name, colour in ((left, "difference", COLOURS[0]), (right, "same", COLOURS[1])):
        value, low, high = (100 * table[f"{name}{end}"] for end in ("", "_low", "_high"))
        axes.errorbar(
            value, rows, xerr=np.maximum([value - low, high - value], 0), fmt="o", markersize=4,
            capsize=2, color=colour,
        )  # fmt: skip
        axes.grid(alpha=0.3, axis="x")
    left.axvline(0, color="0.4", linewidth=0.8)
    pairs = zip(table["change"], table["amount"], strict=True)
    left.set_yticks(rows, [str(Disturbance(kind, int(amount))) for kind, amount in pairs])
    left.set_ylim(len(table) - 0.5, -0.5)
    left.set_xlabel("points of accuracy, against the tracks as they are")
    right.set_xlabel("% of the answers that stay")
    right.set_xlim(right=102)
    for row, n_tracks in zip(rows, table["tracks"], strict=True):
        if not n_tracks:
            right.text(0.5, row, "not to be had of images", fontsize=8, ha="center", va="center",
                       transform=right.get_yaxis_transform())  # fmt: skip
    figure.suptitle(f"{int(table['tracks'].max())} tracks, disturbed", fontsize=10)
    return figure
