"""Draw the README's picture: the first test track of each demo genre, and what a model says of it.

Give it in the folder where `make run` was given: `.venv/bin/python docs/picture.py docs/demo.png`.
"""

import argparse

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import genre_mlflow
from genre_mlflow.corpus.corpus import open_corpus
from genre_mlflow.model.settings import CHAMPION_URI
from genre_mlflow.options import TrainOptions

COLUMNS = 5
WIDTH_INCHES, ROW_INCHES, DPI = 11, 2.45, 100
RIGHT, WRONG = "#1b7837", "#c51b7d"
COLOURS = 96  # of the PNG's palette, which keeps it small


def main() -> None:
    """Predict and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="PNG to write")
    parser.add_argument("--model", default=CHAMPION_URI)
    words = parser.parse_args()
    corpus = open_corpus(TrainOptions().corpus, TrainOptions().split)
    tracks = corpus.rows("test").sort_values("track_id").groupby("genre").first()
    classifier = genre_mlflow.load(words.model)
    n_rows = -(-len(tracks) // COLUMNS)
    figure = Figure(figsize=(WIDTH_INCHES, ROW_INCHES * n_rows), layout="constrained")
    figure.set_facecolor("white")
    figure.get_layout_engine().set(h_pad=0.1)
    panels = figure.subplots(n_rows, COLUMNS, squeeze=False).ravel()
    for axes, (genre, path) in zip(panels, tracks["path"].items(), strict=True):
        answer = classifier.predict(path)
        with Image.open(path) as image:
            axes.imshow(
                np.asarray(image.convert("RGB")), aspect="auto", interpolation="antialiased"
            )
        axes.set(xticks=[], yticks=[])
        axes.set_title(str(genre), loc="left", fontsize=12, fontweight="bold")
        said = f"model: {answer.genre} {answer.confidence:.0%}"
        axes.set_xlabel(said, loc="left", color=RIGHT if answer.genre == genre else WRONG)
    figure.savefig(words.out, dpi=DPI)
    with Image.open(words.out) as image:
        small = image.convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE)
    small.save(words.out, optimize=True)


if __name__ == "__main__":
    main()
