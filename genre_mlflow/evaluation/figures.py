"""Figures: matplotlib figures made without pyplot, so that threads and servers can draw them."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from genre_mlflow.features.preprocessing import Preprocessor, read, to_rgb

INCHES_PER_GENRE = 0.55
COLUMNS_OF_MISTAKES = 4
LABEL_CHARACTERS = 26
SPLIT_COLOURS = {"train": "#4477aa", "val": "#cc6677"}  # told apart by the colour-blind too


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


def learning_curves(curves: pd.DataFrame, best_epoch: int) -> Figure:
    """Loss and accuracy by epoch.

    `curves` has the columns `epoch, train_loss, val_loss, train_accuracy, val_accuracy`.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    for axes, what in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, colour in SPLIT_COLOURS.items():
            axes.plot(curves["epoch"], curves[f"{split}_{what}"], ".-", label=split, color=colour)
        axes.axvline(best_epoch, color="0.6", linestyle=":", label=f"best epoch ({best_epoch})")
        axes.set_xlabel("epoch")
        axes.set_ylabel(what)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure


def mistakes_figure(
    mistakes: pd.DataFrame, paths: Sequence[str], preprocessor: Preprocessor
) -> Figure:
    """The images of wrong answers with what they were taken for; `paths` as in the rows.

    A recording is drawn as `preprocessor` does, its first segment.
    """
    rows = max(1, -(-len(mistakes) // COLUMNS_OF_MISTAKES))
    figure = Figure(figsize=(2.6 * COLUMNS_OF_MISTAKES, 3.1 * rows + 0.4), layout="constrained")
    figure.suptitle(f"{'Most confident' if len(mistakes) else 'No'} mistakes on the test set")
    grid = figure.subplots(rows, COLUMNS_OF_MISTAKES, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, row, path in zip(grid, mistakes.to_dict("records"), paths, strict=False):
        draw_mistake(axes, row, next(preprocessor.segments(read(path))).image)
    return figure


def draw_mistake(axes: Axes, row: dict[Hashable, Any], image: Image.Image) -> None:
    """One image with its name, its genre and the wrong answer."""
    axes.imshow(np.asarray(to_rgb(image)), aspect="auto")
    name = shorten(row["track_id"].rsplit("/", 1)[-1])
    axes.set_title(
        f"{name}\n{row['genre']}, taken for\n{row['predicted']} ({row['confidence']:.0%})",
        fontsize=9,
        parse_math=False,  # a name may hold dollar signs
    )


def shorten(name: str) -> str:
    """The name, or its beginning and three dots, in `LABEL_CHARACTERS`."""
    return name if len(name) <= LABEL_CHARACTERS else name[: LABEL_CHARACTERS - 3] + "..."


def to_image(figure: Figure, dpi: int = 100) -> Image.Image:
    """The figure as an RGB image."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def save_figure(figure: Figure, path: Path, dpi: int = 100) -> None:
    """Write the figure as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    to_image(figure, dpi).save(path)
