"""A network of another family goes every way that the first one goes, by its name alone."""

import base64
import json
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from support import EXPERIMENT, InterruptAfter, free_port, runs_in, server
from torchvision.models import get_model

import genre_mlflow
from genre_mlflow.errors import ModelError
from genre_mlflow.jobs.outcome import Outcome
from genre_mlflow.jobs.train import train
from genre_mlflow.library.predict import open_predictor
from genre_mlflow.library.spark import predict_with_spark
from genre_mlflow.model.networks.image_networks import ResNet18
from genre_mlflow.options import TrainOptions
from search.request import Request
from search.run import run

CHAMPION = "models:/genre-classifier@champion"
SPACE = """
network: [vgg, resnet18]
widths: ["4,8", "8,16"]
dropout: [0.0, 0.3]
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def options(tmp_path: Path, make_corpus: Callable[..., Path]) -> TrainOptions:
    data = str(make_corpus(tmp_path / "music", size=64))
    return TrainOptions.from_flat(
        {"data": data, "network": "resnet18", "image_size": 64, "image_width": 64, "epochs": 2}
    )


@pytest.fixture
def outcome(store: MlflowClient, options: TrainOptions) -> Outcome:
    """Trained for an epoch, interrupted, resumed and registered."""
    with pytest.raises(KeyboardInterrupt):
        train(options, experiment=EXPERIMENT, observer=InterruptAfter(1))
    (cut_off,) = runs_in(store)
    return train(options, experiment=EXPERIMENT, resume=cut_off.info.run_id)


def test_resnet18_trains_resumes_is_registered_predicts_and_is_served(
    store: MlflowClient, options: TrainOptions, outcome: Outcome, tmp_path: Path
) -> None:
    assert (outcome.version, outcome.role) == ("1", "champion")
    run = store.get_run(outcome.run_id)
    assert run.info.run_name == "resnet18, music, seed 0"
    assert run.data.params["network"] == "resnet18"
    assert "widths" not in run.data.params  # an option that it does not have
    classifier = genre_mlflow.load(CHAMPION)
    assert classifier.network_settings == ResNet18()

    images = sorted(Path(options.corpus.data).rglob("*.png"))[::9]
    expected = [classifier.predict(path).probabilities for path in images]
    with open_predictor(CHAMPION) as predictor:
        local = list(predictor.predict_files(images))
        spark = list(predict_with_spark(images, predictor, CHAMPION, "local[1]"))
    assert spark == local
    for row, probabilities in zip(local, expected, strict=True):
        assert row["predicted"] == max(probabilities, key=probabilities.__getitem__)

    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "genre_mlflow", "serve", "--port", url.rpartition(":")[2]]
    with server(command, f"{url}/ping", tmp_path, {}):
        content = [[base64.b64encode(path.read_bytes()).decode()] for path in images]
        body = {"dataframe_split": {"columns": ["content"], "data": content}}
        request = urllib.request.Request(
            f"{url}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answers = json.load(response)["predictions"]
    for answer, probabilities in zip(answers, expected, strict=True):
        assert answer["probabilities"] == pytest.approx(probabilities, abs=1e-5)


def test_the_network_is_searched_with_the_options_that_each_one_has(
    store: MlflowClient, options: TrainOptions, tmp_path: Path
) -> None:
    space = tmp_path / "networks.yaml"
    space.write_text(SPACE, encoding="utf-8")
    request = Request(
        options.changed(network="vgg", epochs=1), EXPERIMENT, space=str(space), trials=2,
        enqueue=("network=resnet18 dropout=0.3",), storage=f"sqlite:///{tmp_path}/studies.db",
    )  # fmt: skip
    found = run(request)
    assert found is not None
    trials = runs_in(store, words="tags.task = 'tune'")
    params = {run.data.params["network"]: set(run.data.params) for run in trials}
    assert params == {
        "vgg": {"network", "widths", "dropout"}, "resnet18": {"network", "dropout"},
    }  # fmt: skip
    (final,) = runs_in(store, words="tags.task = 'final'")
    assert final.data.params["network"] == found.setting["network"]


def test_training_goes_on_without_the_file_that_it_started_from(
    store: MlflowClient, options: TrainOptions, tmp_path: Path
) -> None:
    file = tmp_path / "start.pth"
    torch.save(get_model("resnet18", weights=None).state_dict(), file)
    frozen = options.changed(weights=str(file), freeze=True)
    with pytest.raises(KeyboardInterrupt):
        train(frozen, experiment=EXPERIMENT, observer=InterruptAfter(1))
    file.unlink()
    (cut_off,) = runs_in(store)
    assert train(frozen, experiment=EXPERIMENT, resume=cut_off.info.run_id).version == "1"
    with pytest.raises(ModelError, match="allowed are none, imagenet or a file"):
        train(frozen, experiment="fresh")
    assert store.get_experiment_by_name("fresh") is None
