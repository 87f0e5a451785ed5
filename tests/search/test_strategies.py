"""Samplers by name: the same for the same trial, and those that learn find more than chance."""

import math

import optuna
import pytest
from optuna.study import Study

from search.request import SAMPLERS
from search.strategies import make_sampler


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def studied(name: str, seed: int, trials: int = 14) -> Study:
    """A study of a smooth hill, each trial with a sampler of its own, as workers make them."""
    study = optuna.create_study(direction="maximize")
    for number in range(trials):
        study.sampler = make_sampler(name, seed, number)
        trial = study.ask()
        lr = trial.suggest_float("lr", 1e-4, 1.0, log=True)
        kind = trial.suggest_categorical("kind", ["a", "b"])
        study.tell(trial, -abs(math.log10(lr) + 2) - 0.5 * (kind == "b"))
    return study


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_trial_is_drawn_by_seed_and_number_alone(name):
    one, again, other = (studied(name, seed, 5) for seed in (1, 1, 2))
    settings = [[trial.params for trial in study.trials] for study in (one, again, other)]
    assert settings[0] == settings[1]
    assert settings[0] != settings[2]
    assert len({str(params) for params in settings[0]}) == 5


@pytest.mark.parametrize("name", ["tpe", pytest.param("gp", marks=pytest.mark.slow)])
def test_what_learns_comes_nearer_than_chance(name):
    late = [
        [sum(t.value for t in studied(kind, seed, 20).trials[10:]) for seed in range(2)]
        for kind in (name, "random")
    ]
    assert sum(late[0]) > sum(late[1])
