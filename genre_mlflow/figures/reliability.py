"""Confidence against accuracy as a figure."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

COLOURS = {"before": "#bbbbbb", "after": "#4477aa"}


def reliability_figure(bins: Mapping[str, pd.DataFrame]) -> Figure:
    """A reliability diagram: a line each for `before` and `after` calibration.

    Tables as `evaluation.calibration.reliability` gives them; whiskers are their intervals. Below
    the diagonal answers are too confident, above it too little.
    """
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], ":", color="0.6", label="as it should be")
    for when, table in bins.items():
        reach = [table["accuracy"] - table["low"], table["high"] - table["accuracy"]]
        axes.errorbar(
            table["confidence"], table["accuracy"], yerr=reach, fmt="o-", markersize=4,
            capsize=2, color=COLOURS[when], label=f"{when} calibration",
        )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", aspect="equal")
    n_tracks = next(iter(bins.values()))["tracks"].sum()
    axes.set_title(f"Test set, {n_tracks} tracks in bins of equally many", fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure
