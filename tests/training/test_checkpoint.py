"""A checkpoint is the last whole one, whatever happens while the next is written."""

import hashlib
import io
import os
import subprocess
import sys

import pytest
import torch

from genre_mlflow.errors import TrainingError
from genre_mlflow.training.checkpoint import STATE_FILE, CheckpointFolder

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(7)}
STATE = {"network": WEIGHTS, "history": [{"epoch": 1, "loss": 0.1}]}


@pytest.fixture
def checkpoints(tmp_path):
    return CheckpointFolder(tmp_path / "run")


def names(checkpoints):
    return sorted(path.name for path in checkpoints.folder.iterdir())


def test_weights_come_back_as_they_were(checkpoints):
    path = checkpoints.save_weights(12, {"a": WEIGHTS["a"].t(), "n": WEIGHTS["n"]})
    assert path.name == "epoch-0012.safetensors"
    loaded = checkpoints.load_weights(12)
    assert torch.equal(loaded["a"], WEIGHTS["a"].t())
    assert torch.equal(loaded["n"], WEIGHTS["n"])


def test_state_comes_back_as_it_was(checkpoints):
    checkpoints.save_state(STATE, keep=[])
    loaded = checkpoints.load_state()
    assert loaded["history"] == STATE["history"]
    assert torch.equal(loaded["network"]["a"], WEIGHTS["a"])


def test_no_state_where_no_epoch_has_ended(checkpoints):
    assert checkpoints.load_state() is None
    checkpoints.save_weights(1, WEIGHTS)
    assert checkpoints.load_state() is None


def test_weights_that_are_not_kept_are_deleted_after_the_state(checkpoints):
    for epoch in range(1, 5):
        checkpoints.save_weights(epoch, WEIGHTS)
    checkpoints.save_state(STATE, keep={2, 4})
    assert names(checkpoints) == ["epoch-0002.safetensors", "epoch-0004.safetensors", STATE_FILE]


def test_a_state_that_could_not_be_written_leaves_the_old_one_and_all_weights(
    checkpoints, monkeypatch
):
    checkpoints.save_weights(1, WEIGHTS)
    checkpoints.save_state(STATE, keep={1})
    checkpoints.save_weights(2, WEIGHTS)

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            checkpoints.save_state({**STATE, "history": []}, keep={2})
    assert names(checkpoints) == ["epoch-0001.safetensors", "epoch-0002.safetensors", STATE_FILE]
    assert checkpoints.load_state()["history"] == STATE["history"]


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX")
@pytest.mark.slow
def test_a_full_disk_is_an_os_error_and_leaves_nothing(checkpoints):
    code = (
        "import resource, signal, sys, torch; from pathlib import Path\n"
        "from genre_mlflow.training.checkpoint import CheckpointFolder\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "checkpoints, big = CheckpointFolder(Path(sys.argv[1])), {'a': torch.zeros(100_000)}\n"
        "for save in (checkpoints.save_weights, lambda n, x: checkpoints.save_state(x, [])):\n"
        "    try: save(1, big)\n"
        "    except OSError as error: print(error.strerror)\n"
    )
    command = [sys.executable, "-c", code, checkpoints.folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\nFile too large\n"
    assert names(checkpoints) == []


def test_what_a_killed_process_left_goes_when_the_state_is_read(checkpoints):
    checkpoints.save_state(STATE, keep=[])
    (checkpoints.folder / f".{STATE_FILE}.abc.partial").write_bytes(b"half")
    checkpoints.load_state()
    assert names(checkpoints) == [STATE_FILE]


def write_state(checkpoints, payload):
    """A state file whose checksum is right, whatever is in it."""
    checkpoints.folder.mkdir()
    content = hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload
    (checkpoints.folder / STATE_FILE).write_bytes(content)


def check_damaged(checkpoints):
    damaged = f"^{checkpoints.folder / STATE_FILE} is damaged and cannot be resumed from: .+$"
    with pytest.raises(TrainingError, match=damaged) as error:
        checkpoints.load_state()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [0, 1, 100, -1, -100])
def test_a_state_that_was_cut_is_said_to_be_damaged(checkpoints, size):
    checkpoints.save_state(STATE, keep=[])
    path = checkpoints.folder / STATE_FILE
    path.write_bytes(path.read_bytes()[:size])
    check_damaged(checkpoints)


@pytest.mark.parametrize("content", [b"hello", b"\x80", b"PK\x03\x04", b"\n", bytes(500), b"cx\ny"])
def test_what_is_no_state_is_said_to_be_damaged(checkpoints, content):
    checkpoints.folder.mkdir()
    (checkpoints.folder / STATE_FILE).write_bytes(content)
    check_damaged(checkpoints)


@pytest.mark.parametrize(
    "payload", [b"", b"hello", b"\x80", b"\x80\x02\x94.", b"I\xff\n.", b"\x85."]
)
def test_a_state_that_torch_cannot_read_is_said_to_be_damaged(checkpoints, payload):
    write_state(checkpoints, payload)
    check_damaged(checkpoints)


def test_one_wrong_bit_is_noticed(checkpoints):
    checkpoints.save_state(STATE, keep=[])
    path = checkpoints.folder / STATE_FILE
    content = bytearray(path.read_bytes())
    content[content.index(WEIGHTS["a"].numpy().tobytes()) + 5] ^= 1
    path.write_bytes(content)
    check_damaged(checkpoints)


def test_a_state_with_code_in_it_is_refused(checkpoints):
    buffer = io.BytesIO()
    torch.save({"network": subprocess.run}, buffer)
    write_state(checkpoints, buffer.getvalue())
    check_damaged(checkpoints)


@pytest.mark.parametrize("content", [None, b"", b"hello", b"\xff" * 9])
def test_weights_that_cannot_be_read_are_named(checkpoints, content):
    path = checkpoints.weights_file(3)
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=f"^{path} cannot be read: .+$"):
        checkpoints.load_weights(3)
