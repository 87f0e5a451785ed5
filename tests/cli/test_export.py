"""The command `export`: mistakes in one line before anything heavy, and a file that answers."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner, Result
from store_fixtures import make_corpus  # noqa: F401
from support import Trained, assert_mistake

import genre_mlflow
from genre_mlflow.cli.main import main

CHAMPION = "models:/genre-classifier@champion"


def export(*words: object) -> Result:
    return CliRunner().invoke(main, ["export", *map(str, words)], catch_exceptions=False)


def test_mistakes_are_told_at_once(tmp_path: Path) -> None:
    assert_mistake(export(CHAMPION, "--out", "m.txt"), r"allowed are names that end in \.onnx")
    assert_mistake(export(tmp_path / "no", "--out", tmp_path / "m.onnx"), "no is no folder")
    gone = export(CHAMPION, "--out", tmp_path / "m.onnx", "--check", tmp_path / "no.wav")
    assert_mistake(gone, r"no\.wav")


@pytest.mark.slow
def test_the_file_answers_to_a_real_picture_as_the_model(trained: Trained, tmp_path: Path) -> None:
    picture = next((trained.folder / "music").rglob("*.png"))
    done = export(CHAMPION, "--out", tmp_path / "m.onnx", "--check", picture)
    assert done.exit_code == 0, done.output
    assert "opset 20, any number of pictures at once" in done.output
    classifier = genre_mlflow.load(CHAMPION)
    pixels, _ = classifier.read(picture)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    (found,) = session.run(["probabilities"], {"pixels": pixels.numpy()})
    expected = list(classifier.predict(picture).probabilities.values())
    assert np.abs(found[0] - expected).max() < 1e-4
