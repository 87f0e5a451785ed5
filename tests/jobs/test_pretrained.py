"""Frozen networks that others have trained go the way of every other, with their real weights."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from support import EXPERIMENT, runs_in

import genre_mlflow
from genre_mlflow.errors import ModelError
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
