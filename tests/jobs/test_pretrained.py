"""Frozen networks that others have trained go the way of every other, with their real weights."""

import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from sounds import encode, tone
from support import EXPERIMENT, runs_in

import genre_mlflow
from genre_mlflow.errors import DataError, ModelError
from genre_mlflow.files.home import WEIGHTS, home
from genre_mlflow.jobs.train import train
from genre_mlflow.model.networks.pretrained import AllFeatures
from genre_mlflow.options import TrainOptions


@pytest.fixture
def options(tmp_path: Path, make_corpus: Callable[..., Path]) -> TrainOptions:
    data = str(make_corpus(tmp_path / "music", size=64))
    return TrainOptions.from_flat(
        {"data": data, "network": "pretrained", "image_size": 64, "image_width": 96}
    )


def test_without_weights_no_run_is_opened(store: MlflowClient, options: TrainOptions) -> None:
    with pytest.raises(ModelError, match="`genre-mlflow weights efficientnet_lite0` brings them"):
        train(options, experiment=EXPERIMENT)
    assert store.get_experiment_by_name(EXPERIMENT) is None


@pytest.mark.slow
def test_they_are_fitted_registered_and_answer_without_their_files(
    store: MlflowClient,
    options: TrainOptions,
    tmp_path: Path,
    real_weights: Callable[[str], dict[str, Path]],
) -> None:
    for name in ("musicnn", "efficientnet_lite0"):
        folder = next(iter(real_weights(name).values())).parent
        shutil.copytree(folder, home() / WEIGHTS / name)
    outcome = train(options, experiment=EXPERIMENT)
    (run,) = runs_in(store)
    assert run.info.run_name == "pretrained, svm, music, seed 0"
    assert "gain_over_baseline" in outcome.metrics
    card = Path(store.download_artifacts(run.info.run_id, "model_card.md")).read_text("utf-8")
    assert "Million Song Dataset, which may hold songs and artists of GTZAN" in card

    shutil.rmtree(home() / WEIGHTS)
    classifier = genre_mlflow.load("models:/genre-classifier@champion")
    assert classifier.network_settings == AllFeatures()
    image = sorted(Path(options.corpus.data).rglob("*.png"))[0]
    assert classifier.predict(image).genre == image.parent.name


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Twenty tones a genre, high or low."""
    folder = tmp_path / "songs"
    for genre, hz in (("high", 2000.0), ("low", 150.0)):
        (folder / genre).mkdir(parents=True)
        for track in range(20):
            data = encode(tone(4.0, hz * 1.02**track, seed=track), "WAV")
            (folder / genre / f"{genre}.{track}.wav").write_bytes(data)
    return folder


@pytest.mark.slow
def test_musicnn_that_hears_refuses_images(
    store: MlflowClient, options: TrainOptions, real_weights: Callable[[str], dict[str, Path]]
) -> None:
    shutil.copytree(
        next(iter(real_weights("musicnn").values())).parent, home() / WEIGHTS / "musicnn"
    )
    flat = {"data": options.corpus.data, "network": "musicnn", "features": "musicnn"}
    message = r"^features musicnn are of recordings alone, but .*00000.png is an image \(60 of 60"
    with pytest.raises(DataError, match=message):
        train(TrainOptions.from_flat(flat), experiment=EXPERIMENT)
    assert store.get_experiment_by_name(EXPERIMENT) is None


@pytest.mark.slow
def test_musicnn_hears_recordings_and_says_so(
    store: MlflowClient, songs: Path, real_weights: Callable[[str], dict[str, Path]]
) -> None:
    shutil.copytree(
        next(iter(real_weights("musicnn").values())).parent, home() / WEIGHTS / "musicnn"
    )
    flat = {"data": str(songs), "network": "musicnn", "features": "musicnn", "segment_s": 4.0}
    outcome = train(TrainOptions.from_flat(flat), experiment=EXPERIMENT)
    assert outcome.metrics["test_accuracy"] == 1.0
    assert "gain_over_baseline" not in outcome.metrics
    (run,) = runs_in(store)
    card = Path(store.download_artifacts(run.info.run_id, "model_card.md")).read_text("utf-8")
    assert "resampled to 16,000 Hz" in card
    assert "An image gets an error: this model hears sound alone." in card
    classifier = genre_mlflow.load("models:/genre-classifier@champion")
    assert classifier.predict(encode(tone(5.0, 170.0, seed=99), "FLAC")).genre == "low"
    with pytest.raises(DataError, match="hears sound alone"):
        classifier.predict(b"\x89PNG\r\n\x1a\n")
    model = mlflow.pyfunc.load_model("models:/genre-classifier@champion")
    example = model.input_example
    assert model.predict(example)["genre"].tolist() in (["high"], ["low"])
