"""Learning curves as a figure."""

import pandas as pd
from matplotlib.figure import Figure

SPLIT_COLOURS = {"train": "#4477aa", "val": "#cc6677"}  # told apart by the colour-blind too


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
