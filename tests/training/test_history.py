"""What epochs say, alone and together."""

import json

import pytest

from genre_mlflow.training.history import (
    EpochResult,
    PassResult,
    best_epoch,
    epochs_since_best,
)


def epoch(number: int, loss: float, right: int = 4) -> EpochResult:
    """An epoch with `right` of 10 validation tracks right."""
    val = PassResult(loss, [[right, 10 - right], [0, 0]])
    return EpochResult(number, PassResult(0.5, [[3, 1], [2, 4]]), val, 1e-3, 2.0, 5.0, 123)


def history(*losses: float) -> list[EpochResult]:
    return [epoch(number, loss) for number, loss in enumerate(losses, start=1)]


def test_accuracy_is_the_share_on_the_diagonal():
    assert PassResult(0.5, [[3, 1], [2, 4]]).accuracy == 0.7


def test_an_epoch_survives_json():
    result = epoch(3, 0.4)
    assert EpochResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


@pytest.mark.parametrize(
    ("losses", "best"), [([5], 1), ([7, 5, 6], 2), ([7, 6, 5], 3), ([7, 7, 7], 1)]
)
def test_best_epoch_has_the_least_loss_and_is_the_first_of_equals(losses, best):
    assert best_epoch(history(*losses)).epoch == best


def test_accuracy_does_not_choose_the_epoch():
    epochs = [epoch(1, 0.9, 7), epoch(2, 0.8, 6), epoch(3, 0.85, 9)]
    assert best_epoch(epochs).epoch == 2


@pytest.mark.parametrize(
    ("losses", "since"),
    [([], 0), ([5], 0), ([5, 5], 1), ([6, 5], 0), ([5, 6, 7, 5], 3), ([4, 3, 3, 2], 0)],
)
def test_epochs_since_loss_fell(losses, since):
    assert epochs_since_best(history(*losses)) == since
