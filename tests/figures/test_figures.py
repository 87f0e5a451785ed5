"""Figures render, stay readable with ten genres, and take any name that a file can have."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image

from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.figures.confusion import confusion_figure
from genre_mlflow.figures.curves import learning_curves
from genre_mlflow.figures.gains import gains_figure
from genre_mlflow.figures.image import save_figure, to_image
from genre_mlflow.figures.mistakes import LABEL_COLUMNS, mistakes_figure

PREPROCESSOR = Preprocessor(PreprocessingSettings())
TEN = ["blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock"]
ODD_NAMES = ["A$AP - $ong_{", "drum & bass", "r$b^^$x$", "<b>", "%d", "\\frac", "Ænima Ünder"]


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def mistakes(names: list[str], path: str) -> pd.DataFrame:
    rows = [(f"jazz/{name}", path, "jazz", "rock", 0.9 - i / 100) for i, name in enumerate(names)]
    return pd.DataFrame(rows, columns=["track_id", "path", "genre", "predicted", "confidence"])


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "song.png")
    return str(tmp_path / "song.png")


def test_confusion_shows_counts_or_rates():
    matrix = np.array([[3, 1], [0, 2]])
    counts = texts(confusion_figure(matrix, ["blues", "jazz"], "Epoch 3"))
    assert {"3", "1", "2", "blues", "jazz", "predicted", "genre", "Epoch 3, tracks"} <= set(counts)
    assert "0" not in counts  # nothing stands where nothing is
    rates = texts(confusion_figure(matrix, ["blues", "jazz"], "Epoch 3", rates=True))
    assert {"75", "25", "100", "Epoch 3, % of each genre"} <= set(rates)


def test_a_genre_without_tracks_is_drawn():
    to_image(confusion_figure(np.array([[3, 0], [0, 0]]), ["blues", "jazz"], "t", rates=True))


@pytest.mark.parametrize("rates", [False, True])
def test_labels_of_ten_genres_stay_within_and_apart(rates):
    figure = confusion_figure(np.full((10, 10), 199), TEN, "Test set", rates)
    image = to_image(figure)
    assert 600 <= min(image.size) <= max(image.size) <= 1200
    axes = figure.axes[0]
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(one.y0 > other.y1 for one, other in pairwise(boxes))
    for label in [*axes.get_xticklabels(), *axes.get_yticklabels(), *figure.texts]:
        box = label.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= image.width
        assert box.y1 <= image.height
    cell = axes.transData.transform([(0, 0), (1, 0)])
    width = cell[1][0] - cell[0][0]
    assert all(text.get_window_extent().width < width for text in axes.texts)


@pytest.mark.parametrize("letter", ["n", "W", "\u0416"])
def test_long_names_leave_room_for_the_matrix(letter):
    names = [letter * 100, letter * 30, "jazz"]
    figure = confusion_figure(np.full((3, 3), 199), names, 200 * "t", rates=True)
    image = to_image(figure)
    (axes,) = figure.axes
    assert axes.get_window_extent().width > 250
    assert [label.get_text()[-4:] for label in axes.get_yticklabels()] == [
        f"{letter}...", 4 * letter, "jazz"
    ]  # fmt: skip
    (title,) = figure.texts
    assert title.get_window_extent().x0 >= 0
    assert title.get_window_extent().x1 <= image.width


def test_two_genres_have_room_for_the_title():
    assert min(to_image(confusion_figure(np.eye(2, dtype=int), ["a", "b"], "Epoch 3")).size) > 350


@pytest.mark.parametrize("n_epochs", [1, 2, 30])
def test_learning_curves_have_two_panels_with_two_lines(n_epochs):
    columns = ["train_loss", "val_loss", "train_accuracy", "val_accuracy"]
    curves = pd.DataFrame({name: np.linspace(0.1, 0.9, n_epochs) for name in columns})
    figure = learning_curves(curves.assign(epoch=range(1, n_epochs + 1)), best_epoch=1)
    assert to_image(figure).size == (900, 380)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    for axes in figure.axes:
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == ["train", "val", "best epoch (1)"]


@pytest.mark.parametrize(("n", "rows"), [(0, 1), (1, 1), (4, 1), (5, 2), (12, 3)])
def test_mistakes_are_four_in_a_row(picture, n, rows):
    figure = mistakes_figure(mistakes([f"song {i}" for i in range(n)], picture), PREPROCESSOR)
    assert len(figure.axes) == 4 * rows
    assert sum(len(axes.images) for axes in figure.axes) == n
    assert to_image(figure).size == (1040, round(310 * rows + 40))
    assert ("Most confident" if n else "No") in " ".join(texts(figure))


def test_a_mistake_says_name_genre_answer_and_confidence(picture):
    figure = mistakes_figure(mistakes(["jazz.00007"], picture), PREPROCESSOR)
    assert figure.axes[0].get_title() == "jazz.00007\njazz, taken for\nrock (90%)"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("n" * LABEL_COLUMNS, "n" * LABEL_COLUMNS),
        ("n" * (LABEL_COLUMNS + 1), "n" * (LABEL_COLUMNS - 3) + "..."),
    ],
)
def test_long_names_are_cut(picture, name, shown):
    figure = mistakes_figure(mistakes([name], picture), PREPROCESSOR)
    assert figure.axes[0].get_title().splitlines()[0] == shown


def test_odd_names_are_drawn_as_they_are(picture):
    table = mistakes(ODD_NAMES, picture).assign(genre=ODD_NAMES, predicted=ODD_NAMES[::-1])
    to_image(mistakes_figure(table, PREPROCESSOR))
    for title in ODD_NAMES:  # as that of a folder in `evaluate`
        figure = confusion_figure(np.eye(len(ODD_NAMES), dtype=int), ODD_NAMES, title)
        to_image(figure)
        assert {*ODD_NAMES, f"{title}, tracks"} <= set(texts(figure))


def test_figure_is_saved_as_png_in_a_new_folder(tmp_path):
    path = tmp_path / "images" / "confusion.png"
    save_figure(confusion_figure(np.eye(2, dtype=int), ["a", "b"], "t"), path, dpi=50)
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (200, 188))


def gains(genres: list[str]) -> pd.DataFrame:
    n = len(genres)
    counts = {"tracks": 30, "a_alone": range(n), "b_alone": range(n, 0, -1)}
    table = pd.DataFrame({"genre": genres, **counts})
    return table.assign(difference=table["a_alone"] - table["b_alone"])


def test_gains_and_losses_are_bars_to_either_side():
    figure = gains_figure(gains(TEN), "one", "other")
    to_image(figure)
    (axes,) = figure.axes
    ends = [bar.get_width() for bar in axes.patches]
    assert ends == [*range(10), *range(-10, 0)]
    assert {"A alone is right: one", "B alone is right: other", "blues (30)"} <= set(texts(figure))
    assert all("\N{MINUS SIGN}" not in label.get_text() for label in axes.get_xticklabels())


def test_long_names_of_models_stay_within_the_figure():
    figure = gains_figure(gains(ODD_NAMES), "models:/" + "$x^" * 90, "b" * 300)
    image = to_image(figure)
    (legend,) = figure.legends
    assert all(text.get_window_extent().x1 <= image.width for text in legend.get_texts())


def test_models_that_differ_nowhere_are_drawn():
    table = gains(["jazz"]).assign(a_alone=0, b_alone=0, difference=0)
    to_image(gains_figure(table, "one", "other"))
