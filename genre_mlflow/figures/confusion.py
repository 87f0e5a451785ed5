"""The confusion matrix as a figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from genre_mlflow.figures.fonts import legible, use_fonts

INCHES_PER_GENRE = 0.55
INCHES_OF_NAMES = 1.0  # longer ones make the figure larger
NAME_COLUMNS, TITLE_COLUMNS_PER_INCH = 40, 9


def confusion_figure(
    matrix: np.ndarray, genres: Sequence[str], title: str, rates: bool = False
) -> Figure:
    """Rows are genres, columns predictions; counts, or rates within each row in per cent."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = [legible(genre, NAME_COLUMNS) for genre in genres]
    side = max(4.0, INCHES_PER_GENRE * len(genres) + 2.0)
    figure = Figure(layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*matrix.shape):
        if matrix[row, column]:
            text = f"{100 * shares[row, column]:.0f}" if rates else str(matrix[row, column])
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour)
    axes.set_xticks(
        range(len(names)),
        names,
        rotation=45,
        ha="right",
        rotation_mode="anchor",
        parse_math=False,
    )
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("genre")
    use_fonts(figure)
    longest = max(name.get_window_extent().width for name in axes.get_yticklabels()) / figure.dpi
    side += max(0.0, longest - INCHES_OF_NAMES)
    figure.set_size_inches(side, side * 0.94)
    what = ", % of each genre" if rates else ", tracks"
    columns = int(TITLE_COLUMNS_PER_INCH * side) - len(what)
    figure.suptitle(legible(title, columns) + what, parse_math=False)
    return figure
