"""Converted weights into a network."""

from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from genre_mlflow.errors import ModelError

Network = TypeVar("Network", bound=nn.Module)


def loaded(network: Network, weights: Path) -> Network:
    """A network with the weights of a file, to evaluate: frozen, without dropout.

    Raises `ModelError` for a file that is missing, damaged or another network's.
    """
    try:
        network.load_state_dict(load_file(weights))
    except (OSError, RuntimeError, SafetensorError) as error:
        what = str(error).partition("\n")[0]
        raise ModelError(f"{weights} holds no weights of this network: {what}") from error
    return network.eval().requires_grad_(False)
