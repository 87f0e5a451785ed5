"""Recordings shorter and longer than a segment are found in others, where they really begin."""

from pathlib import Path

import numpy as np
import pytest
from melodies import melody
from sounds import RATE, encode

from genre_mlflow.corpus.checking import check_corpus
from genre_mlflow.corpus.pairs import Pair
from genre_mlflow.corpus.rendering import render_folder
from genre_mlflow.corpus.settings import CorpusSettings, SplitSettings
from genre_mlflow.features.settings import PreprocessingSettings

DRAWING = PreprocessingSettings()


def only_pair(folder: Path, files: dict[str, np.ndarray]) -> Pair:
    """The one pair of a folder with these recordings."""
    (folder / "folk").mkdir(parents=True)
    for name, sound in files.items():
        (folder / f"folk/{name}.wav").write_bytes(encode(sound))
    (pair,) = check_corpus(CorpusSettings(str(folder)), SplitSettings(), DRAWING).pairs
    return pair


@pytest.mark.parametrize(
    ("short", "long", "shift_s"), [("b", "a", 20.0), ("a", "b", -20.0)], ids=["second", "first"]
)
def test_a_clip_that_is_repeated_to_a_segment_begins_where_it_does(
    tmp_path: Path, short: str, long: str, shift_s: float
) -> None:
    whole = melody(30, seed=0)
    pair = only_pair(tmp_path, {short: whole[20 * RATE :], long: whole})
    assert pair.in_seconds
    assert pair.shift == pytest.approx(shift_s, abs=0.15)


@pytest.mark.parametrize("seconds", [33, 40, 44])
def test_a_recording_somewhat_longer_than_a_segment_is_found_in_a_clip(
    tmp_path: Path, seconds: int
) -> None:
    whole = melody(seconds, seed=0)
    pair = only_pair(tmp_path, {"a": whole, "b": whole[3 * RATE : 33 * RATE]})
    assert (pair.kind, pair.shift) == ("near", pytest.approx(3, abs=0.15))


def test_a_recording_somewhat_longer_than_a_segment_is_near_its_image(tmp_path: Path) -> None:
    folder = tmp_path / "music"
    (folder / "folk").mkdir(parents=True)
    (folder / "folk/a.wav").write_bytes(encode(melody(40, seed=0)))
    render_folder(folder, tmp_path / "images", DRAWING)
    (tmp_path / "images/folk/a.png").rename(folder / "folk/image.png")
    (pair,) = check_corpus(CorpusSettings(str(folder)), SplitSettings(), DRAWING).pairs
    assert pair.kind == "near"
    assert pair.score > 0.95
    assert pair.shift == pytest.approx(0, abs=0.15)
