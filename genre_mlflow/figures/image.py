"""A figure as pixels, made without pyplot, so that threads and servers can draw it."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from genre_mlflow.figures.fonts import use_fonts


def to_image(figure: Figure, dpi: int = 100) -> Image.Image:
    """The figure as an RGB image."""
    figure.set_dpi(dpi)
    use_fonts(figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def save_figure(figure: Figure, path: Path, dpi: int = 100) -> None:
    """Write the figure as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    to_image(figure, dpi).save(path)
