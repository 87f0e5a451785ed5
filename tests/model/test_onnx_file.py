"""A network as ONNX says what it says in torch, and the file tells how to use it."""

import json

import onnx
import pytest
import torch
from torch import nn

from genre_mlflow.errors import ModelError
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model import onnx_file
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.family import Family
from genre_mlflow.model.networks import NETWORKS, family
from genre_mlflow.model.networks.baselines import StatisticsBaseline
from genre_mlflow.model.networks.fold_ensemble import FoldEnsemble
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.model.onnx_file import check_exportable, check_onnx, check_packages, to_onnx

GENRES = ("blues", "jazz", "rock & roll")


def classifier_of(settings: Family) -> Classifier:
    torch.manual_seed(0)
    pictures = PreprocessingSettings(image_size=64, image_width=96)
    classifier = Classifier(GENRES, settings, pictures, temperature=1.5)
    for layer in classifier.network.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
            layer.running_mean.normal_(0, 0.1)
        if hasattr(layer, "fill") and hasattr(layer, "vectors"):
            n = layer.vectors.shape[1]
            gamma = torch.tensor(1 / n)
            layer.fill(vectors=torch.randn(5, n), weights=torch.randn(3, 5), gamma=gamma)
    return classifier


def pixels(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (n, 1, 64, 96), dtype=torch.uint8, generator=generator)


@pytest.mark.slow  # torch's exporter; photographs' other networks take twice as long, and pass, too
@pytest.mark.parametrize(
    "settings", [VGG(widths=(4, 8)), family("crnn")(), family("resnet18")()], ids=str
)
def test_a_file_answers_as_the_classifier_for_batches_of_any_size(settings: Family) -> None:
    classifier = classifier_of(settings)
    content = to_onnx(classifier)
    assert check_onnx(content, classifier, pixels(3)) < 1e-5
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model)
    assert [one.version for one in model.opset_import if not one.domain] == [onnx_file.OPSET]
    told = {one.key: one.value for one in model.metadata_props}
    assert json.loads(told["genres"]) == list(GENRES)
    assert PreprocessingSettings.from_saved(json.loads(told["preprocessing"])) == (
        classifier.preprocessing
    )
    assert json.loads(told["input"])["shape"] == ["batch", 1, 64, 96]
    assert float(told["temperature"]) == 1.5
    other = classifier_of(settings)
    other.temperature = 3.0
    with pytest.raises(ModelError, match=r"a probability differs by .*; nothing was written$"):
        check_onnx(content, other, pixels(1))


@pytest.mark.parametrize("settings", [
    *(family(name)() for name in NETWORKS if family(name).is_fitted and name != "csv"),
    FoldEnsemble.of(StatisticsBaseline(), 2),
], ids=str)  # fmt: skip
def test_what_is_fitted_is_refused_with_what_is_not(settings: Family) -> None:
    with pytest.raises(ModelError, match=r"^network \w+ is fitted, .* vgg, crnn, .*small$"):
        check_exportable(settings)


def test_what_is_learnt_is_not_refused() -> None:
    check_exportable(VGG())
    check_exportable(FoldEnsemble.of(VGG(), 2))


def test_a_missing_extra_is_told_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_packages()
    monkeypatch.setattr(onnx_file, "PACKAGES", ("onnx", "no_such_package"))
    message = r"^ONNX needs no_such_package, .* pip install 'genre-mlflow\[onnx\]' brings it$"
    with pytest.raises(ModelError, match=message):
        check_packages()
