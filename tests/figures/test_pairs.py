"""A sheet of pairs shows what was compared."""

from pathlib import Path

import numpy as np
import pytest
from sounds import encode, tone

from genre_mlflow.corpus.pairs import DOUBTFUL, Pair
from genre_mlflow.corpus.thumbnails import Thumbnails
from genre_mlflow.errors import DataError
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.figures.pairs import pairs_figure

DRAWING = PreprocessingSettings(segment_s=2)
PAIR = Pair("a", "b", DOUBTFUL, 0.4, places=(0, 1))


def pictures(*start_s: float) -> Thumbnails:
    """A picture of 2 s of each track."""
    n = len(start_s)
    levels = np.zeros((n, 64, 128), np.uint8)
    return Thumbnails(levels, np.arange(n), np.array(start_s), np.full(n, 2.0))


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Two recordings of 2.8 s, which is one segment."""
    for name in "ab":
        (tmp_path / f"{name}.wav").write_bytes(encode(tone(2.8)))
    return [str(tmp_path / f"{name}.wav") for name in "ab"]


def test_a_sound_is_drawn_as_far_as_it_was_compared(paths: list[str]) -> None:
    figure = pairs_figure([PAIR], paths, pictures(0.0, 0.0), DRAWING)
    for axes in figure.axes[:2]:
        assert axes.get_xlim() == pytest.approx((0, 2), abs=0.05)


def test_a_file_that_has_changed_since_is_named(paths: list[str]) -> None:
    with pytest.raises(DataError, match=r"/b\.wav has changed since it was compared; run"):
        pairs_figure([PAIR], paths, pictures(0.0, 2.0), DRAWING)
