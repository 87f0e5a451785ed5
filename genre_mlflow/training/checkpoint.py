"""What resuming needs: the state after the last whole epoch, and the weights of kept epochs."""

import io
import pickle
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from genre_mlflow.errors import TrainingError
from genre_mlflow.files import atomic_write

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
            file.write(save({name: t.detach().cpu().contiguous() for name, t in weights.items()}))
        return path

    def load_weights(self, epoch: int) -> dict[str, Tensor]:
        """Read a network's weights, on the processor."""
        return load_file(self.weights_file(epoch))

    def save_state(self, state: dict[str, Any], keep: Collection[int]) -> None:
        """Write the state, then delete the weights of all epochs but those in `keep`."""
        buffer = io.BytesIO()  # on a full disk `torch.save` itself would raise a RuntimeError
        torch.save(state, buffer)
        with atomic_write(self.folder / STATE_FILE) as file:
            file.write(buffer.getbuffer())
        kept = {self.weights_file(epoch) for epoch in keep}
        for path in self.folder.glob("epoch-*.safetensors"):
            if path not in kept:
                path.unlink()

    def load_state(self) -> dict[str, Any] | None:
        """The last state, or None where no epoch has ended yet.

        Its tensors are on the processor: Adam keeps its step counts there, whatever the device,
        and the rest moves when it is loaded into network and optimiser.
        """
        path = self.folder / STATE_FILE
        for partial in self.folder.glob(".*.partial"):
            partial.unlink()  # left by a process that was killed while writing
        if not path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise TrainingError(f"{path} is damaged and cannot be resumed from: {error}") from error
        return state
