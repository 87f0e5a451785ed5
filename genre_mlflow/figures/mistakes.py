"""Wrong answers as a figure."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from genre_mlflow.features.images import to_rgb
from genre_mlflow.features.preprocessing import Preprocessor, read
from genre_mlflow.figures.fonts import legible

COLUMNS_OF_MISTAKES = 4
LABEL_COLUMNS = 26


def mistakes_figure(mistakes: pd.DataFrame, preprocessor: Preprocessor) -> Figure:
    """The images of wrong answers, rows of a predictions table, with what they were taken for.

    A recording is drawn as `preprocessor` does, its first segment.
    """
    rows = max(1, -(-len(mistakes) // COLUMNS_OF_MISTAKES))
    figure = Figure(figsize=(2.6 * COLUMNS_OF_MISTAKES, 3.1 * rows + 0.4), layout="constrained")
    figure.suptitle(f"{'Most confident' if len(mistakes) else 'No'} mistakes on the test set")
    grid = figure.subplots(rows, COLUMNS_OF_MISTAKES, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, row in zip(grid, mistakes.to_dict("records"), strict=False):
        draw_mistake(axes, row, next(preprocessor.segments(read(row["path"]))).image)
    return figure


def draw_mistake(axes: Axes, row: dict[Hashable, Any], image: Image.Image) -> None:
    """One image with its name, its genre and the wrong answer."""
    axes.imshow(np.asarray(to_rgb(image)), aspect="auto")
    words = (row["track_id"].rsplit("/", 1)[-1], row["genre"], row["predicted"])
    name, genre, predicted = (legible(word, LABEL_COLUMNS) for word in words)
    axes.set_title(
        f"{name}\n{genre}, taken for\n{predicted} ({row['confidence']:.0%})",
        fontsize=9,
        parse_math=False,  # a name may hold dollar signs
    )
