"""What lies beside the weights is compared with what is found anew."""

from dataclasses import replace

import pytest
import torch

from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.jobs.verify.saved import Saved
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.doubt import UNKNOWN, Doubt
from genre_mlflow.model.familiarity import Familiarity
from genre_mlflow.model.networks.baselines import StatisticsBaseline

KNOWN = Familiarity(torch.zeros(4), torch.ones(4), torch.ones(6, 4), farthest=2.0)
SAVED = Saved(1.5, Doubt(0.7, 0.2), KNOWN)


def test_rounding_makes_no_difference() -> None:
    rounded = replace(KNOWN, references=KNOWN.references + 1e-5, farthest=2.00001)
    assert SAVED.differences(Saved(1.50001, Doubt(0.70001, 0.2), rounded)) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"temperature": 1.0}, "temperature of the model"),
        ({"doubt": Doubt(0.1, 0.2)}, "sure_from of the model"),
        ({"doubt": Doubt(0.7, None)}, "likely_from of the model"),
        ({"familiarity": None}, "farthest of the model"),
        ({"familiarity": replace(KNOWN, farthest=9.0)}, "farthest of the model"),
        ({"familiarity": replace(KNOWN, mean=torch.ones(4))}, "digest of the familiar music"),
        ({"familiarity": replace(KNOWN, references=torch.ones(5, 4))}, "digest of the familiar"),
    ],
)
def test_each_difference_is_named_from_either_side(changes: dict, what: str) -> None:
    other = replace(SAVED, **changes)
    for one, two in ((SAVED, other), (other, SAVED)):
        (found,) = one.differences(two)
        assert found.what.startswith(what)
        assert found.recorded != found.now


def test_what_is_taken_is_gone() -> None:
    pictures = PreprocessingSettings(image_size=32, image_width=32)
    classifier = Classifier(["a", "b"], StatisticsBaseline(), pictures, "mean", 1.5, SAVED.doubt)
    classifier.familiarity = KNOWN
    assert Saved.taken_from(classifier) == SAVED
    assert Saved.of(classifier) == Saved(1.0, UNKNOWN, None)
