"""What a study looks like: a table of its trials, and Optuna's own plots as PNG and HTML."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot
from matplotlib.axes import Axes
from optuna import visualization
from optuna.exceptions import ExperimentalWarning
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import matplotlib as visualization_png

from search.trials import ERROR, RUN_ID, WORKER, best_of

VALUE = "validation loss"
# What plots there are: their names in Optuna, and what they take beside the study.
PLOTS: dict[str, dict[str, Any]] = {
    "optimization_history": {"target_name": VALUE},
    "param_importances": {"target_name": VALUE},
    "parallel_coordinate": {"target_name": VALUE},
    "slice": {"target_name": VALUE},
    "timeline": {},
}
NEEDS_TWO = ("param_importances",)
HEIGHT_PX = 520
LABEL_WIDTH = 0.13  # share of a figure's width
SIZE_INCHES, SLICE_INCHES = (9.0, 5.0), 3.2  # of a figure; width of each parameter's slice


def write_report(study: Study, folder: Path) -> None:
    """Write `trials.csv`, a PNG a plot, and `plots.html` with all of them."""
    trials_table(study).to_csv(folder / "trials.csv", index=False)
    parts = [f"<h1>Study {escape(study.study_name)}</h1>"]
    for name, more in PLOTS.items():
        if name in NEEDS_TWO and not can_rank(study):
            parts.append("<p>No importances: they need trials with different results.</p>")
            continue
        draw_png(study, name, more, folder / f"{name}.png")
        parts.append(draw_html(study, name, more, first=len(parts) == 1))
    page = f"<!doctype html><meta charset='utf-8'><title>{escape(study.study_name)}</title>"
    style = "<style>body{font-family:sans-serif;max-width:1100px;margin:2em auto}</style>"
    (folder / "plots.html").write_text(page + style + "\n".join(parts), encoding="utf-8")


def can_rank(study: Study) -> bool:
    """Parameters have importances when at least two trials are complete and their values differ."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return len({trial.value for trial in complete}) > 1


def draw_png(study: Study, name: str, more: dict[str, Any], path: Path) -> None:
    """One plot with Optuna's matplotlib functions, which use pyplot and leave its style changed."""
    draw: Callable[..., Any] = getattr(visualization_png, f"plot_{name}")
    with of_few_trials(), pyplot.rc_context():
        draw(study, **more)
        figure = pyplot.gcf()
        width = SIZE_INCHES[0]
        if name == "slice":
            width = max(width, SLICE_INCHES * len(study.best_params))
        figure.set_size_inches(width, SIZE_INCHES[1])
        for axes in figure.axes:
            if name == "slice":
                lean(axes)
            elif name == "parallel_coordinate" and axes.get_label() == "<colorbar>":
                move_right(axes)  # off the labels of the last parameter
        figure.savefig(path, dpi=110, bbox_inches="tight")
        pyplot.close(figure)


@contextmanager
def of_few_trials() -> Iterator[None]:
    """Without Optuna's and matplotlib's warnings of one trial, or of few where a parameter is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", "Attempting to set identical", UserWarning)
        warnings.filterwarnings("ignore", "Some regimes for parameter", UserWarning)
        yield


def lean(axes: Axes) -> None:
    """Turn the labels below, of which many or long ones would lie on each other."""
    axes.tick_params(axis="x", which="both", rotation=60, labelsize=8)
    for label in axes.get_xticklabels(which="both"):
        label.set_horizontalalignment("right")
        label.set_rotation_mode("anchor")


def move_right(axes: Axes) -> None:
    """Move axes by the width of a label such as 16,32,64,128,256."""
    x, y, width, height = axes.get_position().bounds
    axes.set_position((x + LABEL_WIDTH, y, width, height))


def draw_html(study: Study, name: str, more: dict[str, Any], *, first: bool) -> str:
    """One plot with Optuna's plotly functions; the first on a page brings plotly along."""
    draw: Callable[..., Any] = getattr(visualization, f"plot_{name}")
    with of_few_trials():
        figure = draw(study, **more)
    figure.update_layout(height=HEIGHT_PX)
    return str(figure.to_html(full_html=False, include_plotlyjs=first))


def trials_table(study: Study) -> pd.DataFrame:
    """One row a trial: number, state, least validation loss and its epoch, setting, times, runs."""
    rows = [row_of(trial) for trial in study.get_trials(deepcopy=False)]
    return pd.DataFrame(rows)


def row_of(trial: FrozenTrial) -> dict[str, Any]:
    """A trial as a row."""
    best = best_of(trial)
    history = trial.system_attrs.get("retry_history", [])
    return {
        "trial": trial.number,
        "state": trial.state.name.lower(),
        "best_val_loss": best.val_loss if best else None,
        "best_val_accuracy": best.val_accuracy if best else None,
        "best_epoch": best.epoch if best else None,
        "steps": trial.last_step or 0,
        **trial.params,
        "started": trial.datetime_start,
        "seconds": round(trial.duration.total_seconds(), 1) if trial.duration else None,
        "retry_of": history[-1] if history else None,
        "worker": trial.user_attrs.get(WORKER),
        "run_id": trial.user_attrs.get(RUN_ID),
        "error": trial.user_attrs.get(ERROR),
    }
