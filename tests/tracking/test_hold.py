"""One process trains a run, or one group that torchrun has started."""

import pytest

from genre_mlflow.errors import ModelError
from genre_mlflow.tracking.sessions import hold

TORCHRUN = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "none"}


def test_a_run_that_is_being_trained_is_refused_until_that_has_ended() -> None:
    message = "^run r is being trained by another process$"
    with hold("r"), pytest.raises(ModelError, match=message), hold("r"):
        pass
    with hold("r"), hold("another"):
        pass


def test_the_ranks_of_one_group_train_a_run_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RANK", "0")
    with hold("r"):
        monkeypatch.setenv("RANK", "1")
        with hold("r"):
            pass
