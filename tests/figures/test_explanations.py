import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from genre_mlflow.evaluation.explain import Explanation
from genre_mlflow.evaluation.explain_settings import METHODS
from genre_mlflow.evaluation.occlusion import DROPS, EVERY, HIDDEN_BY
from genre_mlflow.features.disturbances import DISTURBANCES
from genre_mlflow.features.mel import band_edges
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.figures.bands import bands_figure
from genre_mlflow.figures.explanations import MAX_FRAMES, explanation_figure, mean_maps_figure
from genre_mlflow.figures.image import to_image
from genre_mlflow.figures.robustness import robustness_figure
from genre_mlflow.model.classifier import Prediction

SETTINGS = PreprocessingSettings(image_size=32)
EDGES = band_edges(SETTINGS, 32)


def explanation(method: str = "grad-cam", frames: int = 96, **more: object) -> Explanation:
    rng = np.random.default_rng(0)
    values = {
        "genre": "rock", "method": method, "prediction": Prediction({"rock": 0.7, "pop": 0.3}),
        "map": rng.random((frames, 32), np.float32), "levels": rng.random((frames, 32), np.float32),
        "times": (np.arange(frames) + 0.5) * 30 / 96, "edges": EDGES, "features": "mel",
        "is_timed": True, "weight": 1.0, "alone": 0.7, **more,
    }  # fmt: skip
    return Explanation(**values)


def texts(figure: Figure) -> str:
    found = [axes.get_title(loc="left") for axes in figure.axes]
    found += [axes.get_ylabel() + " " + axes.get_xlabel() for axes in figure.axes]
    return "\n".join([figure.get_suptitle(), *found])


@pytest.mark.parametrize("method", METHODS)
def test_a_picture_has_seconds_hz_and_the_answer(method: str) -> None:
    figure = explanation_figure("song $1.mp3", [explanation(method)])
    to_image(figure)
    spectrogram, overlay = (axes for axes in figure.axes if axes.get_ylabel() == "Hz")
    assert overlay.get_xlim() == pytest.approx((0, 30))
    assert spectrogram.get_ylim() == pytest.approx((0, 11_025))
    assert overlay.get_xlabel() == "s"
    assert "song $1.mp3: rock (70%)" in texts(figure)


def test_of_an_image_the_seconds_are_said_to_be_the_models() -> None:
    figure = explanation_figure("song.png", [explanation(is_timed=False)])
    assert "s, if the image shows what the model itself draws" in texts(figure)


def test_a_part_of_the_answer_is_said_to_be_one() -> None:
    figure = explanation_figure("song.mp3", [explanation(weight=0.33, alone=0.62)])
    assert "which are 33% of the answer and say 62% alone" in texts(figure)


@pytest.mark.slow
def test_several_genres_lie_below_one_another() -> None:
    figure = explanation_figure("song.mp3", [explanation(), explanation(genre="pop")])
    assert len([axes for axes in figure.axes if axes.get_ylabel() == "Hz"]) == 3


@pytest.mark.parametrize("frames", [1, MAX_FRAMES - 1, 3 * MAX_FRAMES + 7])
def test_a_song_of_any_length_is_drawn(frames: int) -> None:
    to_image(explanation_figure("song.mp3", [explanation(frames=frames)]), dpi=20)


def test_pictures_of_mfccs_have_rows_and_no_hz() -> None:
    one = explanation(features="mfcc", edges=np.arange(33.0))
    assert "Hz" not in texts(explanation_figure("song.mp3", [one]))


def test_every_genre_has_a_panel_with_its_number_of_tracks() -> None:
    maps = {name: np.full((96, 32), 0.5, np.float32) for name in ("a", "b", "c")}
    counts = {"a": 3, "b": 4, "c": 5}
    figure = mean_maps_figure(maps, counts, SETTINGS, EDGES, "grad-cam")
    to_image(figure)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title for title in titles if title] == ["a (3)", "b (4)", "c (5)"]


def test_bands_are_drawn_at_their_hz_overall_and_by_genre() -> None:
    rows = [
        {"genre": genre, "hidden_by": how, "low_hz": low, "high_hz": low + 1000, "tracks": 9,
         **{f"{name}{end}": value for name in DROPS
            for end, value in (("", 0.1), ("_low", -0.1), ("_high", np.nan))}}
        for genre in (EVERY, "blues", "rock") for how in HIDDEN_BY for low in (0, 1000)
    ]  # fmt: skip
    figure = bands_figure(pd.DataFrame(rows))
    to_image(figure)
    panels = figure.subfigs[1].axes
    assert [axes.get_title(loc="left") for axes in panels if axes.axison] == [
        "blues (9)",
        "rock (9)",
    ]
    assert figure.subfigs[0].axes[0].get_ylabel() == "Hz"


def test_disturbances_that_no_track_has_are_named() -> None:
    rows = [
        {"change": one.kind, "amount": one.amount, "tracks": 0 if one.kind == "mp3" else 9,
         **{f"{name}{end}": np.nan if one.kind == "mp3" else 0.5
            for name in ("difference", "same") for end in ("", "_low", "_high")}}
        for one in DISTURBANCES
    ]  # fmt: skip
    figure = robustness_figure(pd.DataFrame(rows))
    to_image(figure)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [str(one) for one in DISTURBANCES]
    assert [text.get_text() for text in figure.axes[1].texts] == ["not to be had of images"]
