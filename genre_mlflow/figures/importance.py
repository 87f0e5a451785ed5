"""What a fitted baseline answers by, as a figure."""

import pandas as pd
from matplotlib.figure import Figure

ROW_INCHES = 0.3


def importance_figure(table: pd.DataFrame) -> Figure:
    """Bars of the loss of accuracy in points, the most important kind at the top.

    `table` has the columns `kind, statistics, loss, deviation`.
    """
    figure = Figure(figsize=(7, 1.2 + ROW_INCHES * len(table)), layout="constrained")
    axes = figure.add_subplot()
    sizes = zip(table["kind"], table["statistics"], strict=True)
    names = [f"{kind.replace('_', ' ')} ({size})" for kind, size in sizes]
    axes.barh(names, 100 * table["loss"], xerr=100 * table["deviation"], color="#4477aa")
    axes.invert_yaxis()
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.set_xlabel("points of validation accuracy lost when dealt to other tracks")
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)
    return figure
