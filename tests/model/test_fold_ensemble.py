"""Networks of several folds as one: what they answer, and that it is saved and read as any."""

import json
from pathlib import Path

import pytest
import torch

from genre_mlflow.errors import SettingsError
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks import NETWORKS, name_of
from genre_mlflow.model.networks.fold_ensemble import FoldEnsemble
from genre_mlflow.model.networks.vgg import VGG

GENRES = ("blues", "rock")
PICTURES = PreprocessingSettings(image_size=32, image_width=32)
MEMBER = VGG(stem="pixels", widths=(4, 8), crop=1.0, statistics_share=0.0)


def ensemble() -> Classifier:
    return Classifier(GENRES, FoldEnsemble.of(MEMBER, 3), PICTURES, temperature=1.5)


def test_the_logarithms_of_the_members_probabilities_are_averaged() -> None:
    made = ensemble()
    pixels = torch.randint(256, (4, *PICTURES.shape), dtype=torch.uint8)
    found = made.logits(pixels)
    with torch.inference_mode():
        each = [member(pixels).log_softmax(1) for member in made.network.members]
    torch.testing.assert_close(found, torch.stack(each).mean(0) / 1.5)


def test_it_is_saved_and_read_as_any_other(tmp_path: Path) -> None:
    made = ensemble()
    made.save(tmp_path)
    read = Classifier.load(tmp_path)
    assert read.network_settings == made.network_settings
    assert read.digest == made.digest
    config = json.loads((tmp_path / "classifier.json").read_text("utf-8"))
    assert config["network"]["name"] == name_of(made.network_settings) == "fold-ensemble"


def test_it_says_whose_it_is_and_takes_what_they_take() -> None:
    settings = FoldEnsemble.of(MEMBER, 3)
    assert settings.member == MEMBER
    assert str(settings) == "3 x vgg 4-8, each of other folds"
    with pytest.raises(SettingsError, match="2 blocks"):
        settings.check_input((1, 2, 2))


def test_no_training_can_ask_for_it() -> None:
    assert "fold-ensemble" not in NETWORKS
