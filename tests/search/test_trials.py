"""What is kept with a trial."""

from pathlib import Path

import optuna
import pytest

from genre_mlflow.training.history import EpochResult, PassResult, best_epoch
from search.trials import Best, Report, best_of


def epoch(number: int, right: int, loss: float) -> EpochResult:
    result = PassResult(loss, [[right, 4 - right], [0, 0]])
    return EpochResult(number, result, result, 0.1, 1.0, 1.0, number)


@pytest.mark.parametrize(
    ("epochs", "best"),
    [
        ([epoch(1, 2, 0.9), epoch(2, 2, 0.5), epoch(3, 2, 0.7)], 2),
        ([epoch(1, 2, 0.5), epoch(2, 1, 0.5)], 1),  # of equals the first
        ([epoch(1, 0, 0.9), epoch(2, 3, 2.0)], 1),
    ],
)
def test_the_best_epoch_of_a_trial_is_the_one_that_training_names(
    epochs: list[EpochResult], best: int
) -> None:
    trial = optuna.create_study(direction="minimize").ask()
    report = Report(trial, set(), len(epochs))
    for result in epochs:
        report.on_epoch_end(result, Path("unused"))
    (frozen,) = trial.study.get_trials()
    found = best_epoch(epochs)
    assert best_of(frozen) == Best(found.val.loss, found.val.accuracy, best)
    assert found.epoch == best


def test_a_trial_that_goes_on_remembers_its_epochs() -> None:
    trial = optuna.create_study(direction="minimize").ask()
    history = [epoch(1, 3, 0.4), epoch(2, 1, 0.6)]
    trial.report(0.4, 1)
    report = Report(trial, {1}, 3)
    report.on_train_begin(history, 3)
    for result in (history[-1], epoch(3, 2, 0.5)):
        report.on_epoch_end(result, Path("unused"))
    (frozen,) = trial.study.get_trials()
    assert best_of(frozen) == Best(0.4, 0.75, 1)
    assert frozen.intermediate_values == {1: 0.4, 2: 0.6, 3: 0.5}


def test_a_trial_without_an_epoch_has_no_best() -> None:
    study = optuna.create_study(direction="minimize")
    study.ask()
    assert best_of(study.get_trials()[0]) is None
