"""What resuming needs: the state after the last whole epoch, and the weights of kept epochs."""

import hashlib
import io
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from genre_mlflow.errors import TrainingError
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.model.weights import to_safetensors

STATE_FILE = "state.pt"


class CheckpointFolder:
    """A folder with `state.pt` and one `epoch-NNNN.safetensors` for each kept epoch.

    Weights are written before the state that speaks of them and deleted after it, so that
    whatever state is found, its weights are there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def weights_file(self, epoch: int) -> Path:
        """Where the weights of an epoch, counted from 1, lie."""
        return self.folder / f"epoch-{epoch:04d}.safetensors"

    def save_weights(self, epoch: int, weights: dict[str, Tensor]) -> Path:
        """Write a network's weights."""
        path = self.weights_file(epoch)
        with atomic_write(path) as file:
            file.write(to_safetensors(weights))
        return path

    def load_weights(self, epoch: int) -> dict[str, Tensor]:
        """Read a network's weights, on the processor. Raises `TrainingError` if it cannot."""
        path = self.weights_file(epoch)
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"{path} cannot be read: {first_line(error)}") from error

    def save_state(self, state: dict[str, Any], keep: Collection[int]) -> None:
        """Write the state, then delete the weights of all epochs but those in `keep`.

        The file is the SHA-256 of what `torch.save` writes, in a line of its own, and that.
        """
        buffer = io.BytesIO()  # on a full disk `torch.save` itself would raise a RuntimeError
        torch.save(state, buffer)
        with atomic_write(self.folder / STATE_FILE) as file:
            file.write(hashlib.sha256(buffer.getbuffer()).hexdigest().encode() + b"\n")
            file.write(buffer.getbuffer())
        kept = {self.weights_file(epoch) for epoch in keep}
        for path in self.folder.glob("epoch-*.safetensors"):
            if path not in kept:
                path.unlink()

    @property
    def has_state(self) -> bool:
        """Whether training can go on from here."""
        return (self.folder / STATE_FILE).exists()

    def load_state(self) -> dict[str, Any] | None:
        """The last state, or None where no epoch has ended yet. Raises `TrainingError` if damaged.

        Its tensors are on the processor: Adam keeps its step counts there, whatever the device,
        and the rest moves when it is loaded into network and optimiser.
        """
        path = self.folder / STATE_FILE
        for partial in self.folder.glob(".*.partial"):
            partial.unlink()  # left by a process that was killed while writing
        if not path.exists():
            return None
        damaged = f"{path} is damaged and cannot be resumed from"
        sha256, _, payload = path.read_bytes().partition(b"\n")
        if hashlib.sha256(payload).hexdigest().encode() != sha256:
            raise TrainingError(f"{damaged}: its contents do not fit its checksum")
        try:
            state: dict[str, Any] = torch.load(
                io.BytesIO(payload), map_location="cpu", weights_only=True
            )
        except Exception as error:  # what torch and the unpickler raise is nowhere listed
            raise TrainingError(f"{damaged}: {first_line(error)}") from error
        return state


class NoCheckpoints(CheckpointFolder):
    """What a process keeps that trains together with the one that keeps all: nothing."""

    def __init__(self) -> None:
        super().__init__(Path())

    def save_weights(self, epoch: int, weights: dict[str, Tensor]) -> Path:
        """Write nothing."""
        return self.weights_file(epoch)

    def load_weights(self, epoch: int) -> dict[str, Tensor]:
        """There are none."""
        return {}

    def save_state(self, state: dict[str, Any], keep: Collection[int]) -> None:
        """Write nothing."""

    def load_state(self) -> None:
        """There is none."""


def first_line(error: Exception) -> str:
    """What an error says, without the pages of advice that may follow."""
    return f"{error}".partition("\n")[0] or type(error).__name__
