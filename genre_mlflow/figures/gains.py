"""What one of two models gains and loses by genre, as a figure."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from genre_mlflow.figures.fonts import legible

ROW_INCHES = 0.34
NAME_COLUMNS, SIDE_COLUMNS = 24, 46
GAINED, LOST = "#4477aa", "#cc6677"  # told apart by the colour-blind too


def gains_figure(table: pd.DataFrame, one: str, other: str) -> Figure:
    """Bars of the tracks of each genre that `one` alone gets right, and to the left those of
    `other`; a mark for what remains.

    `table` has the columns `genre, tracks, a_alone, b_alone, difference`.
    """
    figure = Figure(figsize=(7, 1.6 + ROW_INCHES * len(table)), layout="constrained")
    axes = figure.add_subplot()
    rows = range(len(table))
    sizes = zip(table["genre"], table["tracks"], strict=True)
    names = [f"{legible(genre, NAME_COLUMNS)} ({size})" for genre, size in sizes]
    a, b = (legible(side, SIDE_COLUMNS) for side in (one, other))
    bars = [
        axes.barh(rows, table["a_alone"], color=GAINED, label=f"A alone is right: {a}"),
        axes.barh(rows, -table["b_alone"], color=LOST, label=f"B alone is right: {b}"),
    ]
    marks = axes.plot(table["difference"], rows, "d", color="black", markersize=5, label="A less B")
    most = max(1.0, *table["a_alone"], *table["b_alone"])
    axes.set_xlim(-1.08 * most, 1.08 * most)
    axes.set_yticks(rows, names, parse_math=False)
    axes.invert_yaxis()
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.set_xlabel("tracks that one alone gets right (in brackets: all of the genre)")
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)
    legend = figure.legend(handles=[*bars, *marks], loc="outside upper left", frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure
