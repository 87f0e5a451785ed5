"""In which numbers a network learns: 32 bits, or on devices that have them bfloat16."""

from contextlib import AbstractContextManager

import torch

from genre_mlflow.errors import SettingsError
from genre_mlflow.training.device import choose_device, describe_device
from genre_mlflow.training.settings import AUTO, BFLOAT16, TrainingSettings

AMPERE = (8, 0)  # compute capability


def device_for(settings: TrainingSettings) -> torch.device:
    """The device that is asked for. Raises `SettingsError` where it lacks it, or its precision."""
    device = choose_device(settings.device)
    precision_on(device, settings.precision)
    return device


def precision_on(device: torch.device, name: str) -> torch.dtype:
    """The numbers that the layers of a network learn in; `auto` is bfloat16 where it is native.

    Elsewhere it is emulated: on a processor of 2020 (Zen 3) a step takes 25 times as long. Raises
    `SettingsError` where it is asked for all the same.
    """
    if name == BFLOAT16 and not has_bfloat16(device):
        raise SettingsError(
            f"precision is {BFLOAT16}, but {describe_device(device)} would only emulate it, many "
            f"times slower; allowed here are {AUTO} and float32"
        )
    return torch.bfloat16 if name != "float32" and has_bfloat16(device) else torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 by itself, as GPUs with CUDA do since Ampere."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= AMPERE


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[None]:
    """Layers in the block compute in this precision; weights and gradients stay float32."""
    lowered = precision is not torch.float32
    return torch.autocast(device.type if lowered else "cpu", torch.bfloat16, enabled=lowered)
