"""What speaks for an answer, laid over the spectrogram, with axes in seconds and Hz."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from genre_mlflow.evaluation.explain import Explanation
from genre_mlflow.evaluation.explain_settings import GRAD_CAM, HIRES_CAM, OCCLUSION
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.figures.fonts import legible
from genre_mlflow.figures.sheets import MAX_FRAMES, ROW_LABELS, space_as_mel

INCHES = 9.0, 3.1  # of a panel of a minute at most
WIDEST = 24.0  # inches
INCHES_PER_S = 0.15  # beyond a minute
TITLE_COLUMNS = 100
NAMES = {
    GRAD_CAM: "Grad-CAM, share of its highest",
    HIRES_CAM: "HiResCAM, share of its highest",
    OCCLUSION: "log probability lost by hiding, nats",
}
LARGEST_ALPHA = 0.8
PANELS_PER_ROW = 2

Floats = npt.NDArray[np.floating[Any]]


def explanation_figure(name: str, found: list[Explanation]) -> Figure:
    """One file: its spectrogram, and below it in grey with the map of each explanation over it."""
    first = found[0]
    length_s = first.times[-1] + first.times[0]
    width = min(WIDEST, INCHES[0] + INCHES_PER_S * max(0.0, length_s - 60))
    size = width, INCHES[1] * (1 + len(found))
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(legible(title(name, first), TITLE_COLUMNS), parse_math=False)
    top, *below = figure.subplots(1 + len(found), 1, sharex=True, squeeze=False)[:, 0]
    spectrogram = draw(top, first.levels, first, cmap="magma", vmin=0, vmax=255)
    figure.colorbar(spectrogram, ax=top, label="level, 0 to 255")
    top.set_title("what the network gets", fontsize=9, loc="left")
    for axes, one in zip(below, found, strict=True):
        draw(axes, one.levels, one, cmap="gray", vmin=0, vmax=255)
        mesh = draw(axes, one.map, one, **colours_of(one))
        figure.colorbar(mesh, ax=axes, label=NAMES[one.method])
        axes.set_title(legible(subtitle(one), TITLE_COLUMNS), fontsize=9, loc="left",
                       parse_math=False)  # fmt: skip
    below[-1].set_xlabel(
        "s" if first.is_timed else "s, if the image shows what the model itself draws"
    )
    return figure


def title(name: str, one: Explanation) -> str:
    """The file and the answer."""
    return f"{name}: {one.prediction.genre} ({one.prediction.confidence:.0%})"


def subtitle(one: Explanation) -> str:
    """For which genre it is asked, and how much of the answer the map tells of."""
    said = f"{one.genre}, {one.prediction.probabilities[one.genre]:.0%}"
    if one.weight == 1:
        return f"what speaks for {said}"
    return (
        f"what speaks for {said}, to the convolutions, which are {one.weight:.0%} of the answer "
        f"and say {one.alone:.0%} alone"
    )


def colours_of(one: Explanation) -> dict[str, Any]:
    """The colours of a map: clear where nothing is, blue for what speaks against the genre."""
    if one.method != OCCLUSION:
        return {"cmap": ramp(), "vmin": 0, "vmax": 1}
    most = max(float(np.abs(one.map).max()), 1e-6)
    return {"cmap": two_ramps(), "vmin": -most, "vmax": most}


@cache
def ramp() -> ListedColormap:
    """From clear to red."""
    colours = colormaps["autumn_r"](np.linspace(0, 1, 256))
    colours[:, 3] = np.linspace(0, LARGEST_ALPHA, 256)
    return ListedColormap(colours)


@cache
def two_ramps() -> ListedColormap:
    """From blue by clear to red."""
    colours = colormaps["coolwarm"](np.linspace(0, 1, 256))
    colours[:, 3] = LARGEST_ALPHA * np.abs(np.linspace(-1, 1, 256))
    return ListedColormap(colours)


def draw(axes: Axes, matrix: Floats, one: Explanation, **how: Any) -> Any:
    """A matrix `[frames, bands]` with its axes."""
    step = one.times[0] * 2
    mesh = draw_bands(axes, matrix, np.arange(len(matrix) + 1) * step, one.edges, **how)
    if one.features == "mel":
        space_as_mel(axes, float(one.edges[0]), float(one.edges[-1]))
    axes.set_ylabel(ROW_LABELS[one.features] if one.features == "mel" else one.features)
    return mesh


def draw_bands(axes: Axes, matrix: Floats, seconds: Floats, edges: Floats, **how: Any) -> Any:
    """A matrix `[frames, bands]` between edges of both; of a long one means of several frames."""
    every = -(-len(matrix) // MAX_FRAMES)
    n = len(matrix) // every * every
    shown = matrix[:n].reshape(-1, every, matrix.shape[1]).mean(axis=1)
    return axes.pcolormesh(seconds[: n + 1 : every], edges, shown.T, **how)


def mean_maps_figure(
    maps: Mapping[str, Floats], counts: Mapping[str, int], settings: PreprocessingSettings,
    edges: Floats, method: str,
) -> Figure:  # fmt: skip
    """The mean map of each genre, a panel each, `[frames, bands]`, all in one scale."""
    n_rows = -(-len(maps) // PANELS_PER_ROW)
    figure = Figure(figsize=(11, 2.0 * n_rows + 0.6), layout="constrained")
    grid = figure.subplots(n_rows, PANELS_PER_ROW, sharex=True, sharey=True, squeeze=False)
    most = max(float(one.max()) for one in maps.values())
    for axes in grid.ravel()[len(maps) :]:
        axes.axis("off")
    for axes, (genre, one) in zip(grid.ravel(), maps.items(), strict=False):
        seconds = np.linspace(0, settings.segment_s, len(one) + 1)
        mesh = draw_bands(axes, one, seconds, edges, cmap="magma", vmin=0, vmax=most)
        name = f"{legible(genre, TITLE_COLUMNS // 4)} ({counts[genre]})"
        axes.set_title(name, fontsize=9, loc="left", parse_math=False)
        if settings.features == "mel":
            space_as_mel(axes, settings.fmin, settings.highest_hz)
        axes.tick_params(labelsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("s")
    for axes in grid[:, 0]:
        axes.set_ylabel(ROW_LABELS[settings.features])
    figure.colorbar(mesh, ax=grid, label=f"mean {NAMES[method].partition(',')[0]}", aspect=40)
    return figure
