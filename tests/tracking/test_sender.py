"""The thread that sends epochs: waited for at the end, and not without end."""

import threading
from pathlib import Path

import pytest

from genre_mlflow.tracking import sender
from genre_mlflow.tracking.outbox import Head, Outbox
from genre_mlflow.tracking.sender import Sender
from genre_mlflow.training.history import EpochResult, PassResult

HEAD = Head("run", "sqlite:///mlflow.db", {"genres": ["jazz", "rock"]}, "all", ["corpus", "12"])


def test_a_store_that_takes_no_epoch_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "PATIENCE_S", 0.3)
    (tmp_path / "weights").write_bytes(b"weights")
    answered = threading.Event()
    slow = Sender(HEAD, Outbox(tmp_path / "waiting", room=0))
    monkeypatch.setattr(slow.delivery, "deliver", lambda epoch, history: answered.wait(60))
    slow.on_train_begin([], 1)
    done = PassResult(1.0, [[3, 1], [0, 4]])
    slow.on_epoch_end(EpochResult(1, done, done, 0.01, 1.0, 1.0, 1_000), tmp_path / "weights")
    assert not slow.flush()
    answered.set()
    slow.close()
    assert slow.outbox.epochs() == [1]
