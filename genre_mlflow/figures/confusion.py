"""The confusion matrix as a figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

INCHES_PER_GENRE = 0.55


def confusion_figure(
    matrix: np.ndarray, genres: Sequence[str], title: str, rates: bool = False
) -> Figure:
    """Rows are genres, columns predictions; counts, or rates within each row in per cent."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = max(4.0, INCHES_PER_GENRE * len(genres) + 2.0)
    figure = Figure(figsize=(side, side * 0.94), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*matrix.shape):
        if matrix[row, column]:
            text = f"{100 * shares[row, column]:.0f}" if rates else str(matrix[row, column])
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour)
    axes.set_xticks(
        range(len(genres)),
        genres,
        rotation=45,
        ha="right",
        rotation_mode="anchor",
        parse_math=False,
    )
    axes.set_yticks(range(len(genres)), genres, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("genre")
    axes.set_title(title + (", % of each genre" if rates else ", tracks"))
    return figure
