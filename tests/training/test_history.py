"""What epochs say, alone and together."""

import json

import pytest

from genre_mlflow.training.history import (
    EpochResult,
    PassResult,
    best_epoch,
    epochs_since_best,
)


def epoch(number: int, right: int, loss: float = 1.0) -> EpochResult:
    """An epoch with `right` of 10 validation tracks right."""
    val = PassResult(loss, [[right, 10 - right], [0, 0]])
    return EpochResult(number, PassResult(0.5, [[3, 1], [2, 4]]), val, 1e-3, 2.0, 5.0, 123)


def history(*rights: int) -> list[EpochResult]:
    return [epoch(number, right) for number, right in enumerate(rights, start=1)]


def test_accuracy_is_the_share_on_the_diagonal():
    assert PassResult(0.5, [[3, 1], [2, 4]]).accuracy == 0.7


def test_an_epoch_survives_json():
    result = epoch(3, 4)
    assert EpochResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


@pytest.mark.parametrize(
    ("rights", "best"), [([5], 1), ([5, 7, 6], 2), ([5, 6, 7], 3), ([7, 7, 7], 1)]
)
def test_best_epoch_has_the_highest_accuracy_and_is_the_first_of_equals(rights, best):
    assert best_epoch(history(*rights)).epoch == best


def test_of_equal_accuracies_the_least_loss_is_best():
    epochs = [epoch(1, 7, 0.9), epoch(2, 7, 0.8), epoch(3, 6, 0.1), epoch(4, 7, 0.85)]
    assert best_epoch(epochs).epoch == 2


@pytest.mark.parametrize(
    ("rights", "since"),
    [([], 0), ([5], 0), ([5, 5], 1), ([5, 6], 0), ([7, 6, 5, 7], 3), ([1, 2, 2, 3], 0)],
)
def test_epochs_since_accuracy_rose(rights, since):
    assert epochs_since_best(history(*rights)) == since
