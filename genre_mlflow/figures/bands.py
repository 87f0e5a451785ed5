"""Which frequency bands an answer needs, as a figure."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genre_mlflow.evaluation.occlusion import EVERY, MEAN, OTHERS
from genre_mlflow.figures.fonts import legible
from genre_mlflow.figures.sheets import space_as_mel

PANELS_PER_ROW = 4
NAME_COLUMNS = 24
COLOURS = {OTHERS: "#4477aa", MEAN: "#bbbbbb"}
LABELS = {OTHERS: "hidden by the band of other tracks", MEAN: "hidden by the mean"}


def bands_figure(table: pd.DataFrame) -> Figure:
    """What hiding a band takes: above of the accuracy in points, below of each genre's log
    probability; whiskers are 95 % intervals.

    `table` as `evaluation.occlusion.band_table` gives it.
    """
    genres = [genre for genre in table["genre"].unique() if genre != EVERY]
    n_rows = -(-len(genres) // PANELS_PER_ROW)
    figure = Figure(figsize=(11, 3.6 + 2.1 * n_rows), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[3.4, 2.1 * n_rows])[:, 0]
    left, right = above.subplots(1, 2, sharey=True)
    every = table[table["genre"] == EVERY]
    for axes, name, scale in ((left, "accuracy_drop", 100), (right, "log_probability_drop", 1)):
        for how, part in every.groupby("hidden_by", sort=False):
            draw(axes, part, name, scale, str(how))
        space_as_mel(axes, every["low_hz"].min(), every["high_hz"].max())
    left.set(ylabel="Hz", xlabel="points of accuracy lost")
    right.set_xlabel("log probability of the true genre lost, nats")
    above.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2,
                 frameon=False, fontsize=8)  # fmt: skip
    n_tracks = int(every["tracks"].iloc[0])
    above.suptitle(f"What hiding a band costs, all {n_tracks} tracks", fontsize=10)
    grid = below.subplots(n_rows, PANELS_PER_ROW, sharex=True, sharey=True, squeeze=False)
    for axes in grid.ravel()[len(genres) :]:
        axes.axis("off")
    for axes, genre in zip(grid.ravel(), genres, strict=False):
        part = table[(table["genre"] == genre) & (table["hidden_by"] == OTHERS)]
        draw(axes, part, "log_probability_drop", 1, OTHERS)
        name = f"{legible(genre, NAME_COLUMNS)} ({int(part['tracks'].iloc[0])})"
        axes.set_title(name, fontsize=8, loc="left", parse_math=False)
        space_as_mel(axes, part["low_hz"].min(), part["high_hz"].max())
        axes.tick_params(labelsize=7, labelbottom=True)
    below.suptitle("by genre: log probability lost, nats; hidden by other tracks", fontsize=10)
    for axes in grid[:, 0]:
        axes.set_ylabel("Hz", fontsize=8)
    return figure


def draw(axes: Axes, part: pd.DataFrame, name: str, scale: float, how: str) -> None:
    """A mark and its interval for each band, at the band's height."""
    middle = (part["low_hz"] + part["high_hz"]) / 2
    value, low, high = (scale * part[f"{name}{end}"] for end in ("", "_low", "_high"))
    axes.errorbar(
        value, middle, xerr=np.maximum([value - low, high - value], 0), fmt="o", markersize=3,
        linewidth=1, capsize=2, color=COLOURS[how], label=LABELS[how],
    )  # fmt: skip
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.grid(alpha=0.3, axis="x")
