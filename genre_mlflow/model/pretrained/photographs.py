"""Weights of torchvision's networks that were trained on photographs: its own, or from a file."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import get_model_weights

from genre_mlflow.errors import ModelError
from genre_mlflow.files.words import few

IMAGENET = "imagenet"


def load_body(body: nn.Module, constructor: str, last: str, weights: str) -> None:
    """Load weights into a network of torchvision's that has lost its last layers, named `last`.

    `weights`: `imagenet`, or a file. Raises `ModelError` for what cannot be had or read, and for
    those of another network.
    """
    found = imagenet_weights(constructor) if weights == IMAGENET else read_weights(Path(weights))
    kept = {name: values for name, values in found.items() if not name.startswith(f"{last}.")}
    own = body.state_dict()
    lacking, unknown = sorted(own.keys() - kept.keys()), sorted(kept.keys() - own.keys())
    changed = sorted(n for n in own.keys() & kept.keys() if own[n].shape != kept[n].shape)
    if lacking or unknown or changed:
        odd = [*(f"no {name}" for name in lacking), *(f"{name}" for name in unknown)]
        odd += [f"{name} of shape {list(kept[name].shape)}" for name in changed]
        raise ModelError(f"weights {weights} are not those of {constructor}: they have {few(odd)}")
    body.load_state_dict(kept)


def imagenet_weights(constructor: str) -> dict[str, Tensor]:
    """torchvision's newest weights of a network, fetched once into torch's own folder.

    Raises `ModelError` where they are not there and cannot be fetched.
    """
    entry = get_model_weights(constructor).DEFAULT
    folder = Path(torch.hub.get_dir(), "checkpoints")
    name = str(entry.url).rpartition("/")[2]
    try:
        found: dict[str, Tensor] = entry.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError, *DAMAGE) as error:
        raise ModelError(
            f"the ImageNet weights of {constructor} cannot be had ({error}); put {name} into "
            f"{folder}, or give it as --weights FILE"
        ) from error
    return found


DAMAGE = (ValueError, KeyError, EOFError, UnpicklingError, SafetensorError)


def read_weights(file: Path) -> dict[str, Tensor]:
    """Weights by name, from safetensors or from what `torch.save` wrote; no code in it is run.

    Raises `ModelError`.
    """
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(
            f"weights is {str(file)!r}; allowed are none, imagenet or a file"
        ) from error
    except (OSError, RuntimeError, *DAMAGE) as error:
        said = str(error).split("\n")[0]
        raise ModelError(f"weights {file} cannot be read: {said}") from error
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise ModelError(f"weights {file} are no table of tensors by their names")
    return found
