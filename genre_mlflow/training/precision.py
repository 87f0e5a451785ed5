"""In which numbers a network learns: 32 bits, or on devices that have them bfloat16."""

from contextlib import AbstractContextManager

import torch

from genre_mlflow.errors import SettingsError
from genre_mlflow.files.ranks import Rank
from genre_mlflow.training.device import describe_device, device_of_rank
from genre_mlflow.training.settings import AUTO, BFLOAT16, TrainingSettings

ONE = Rank()
AMPERE = (8, 0)  # compute capability


def device_for(settings: TrainingSettings, rank: Rank = ONE) -> torch.device:
    """The device that is asked for, of one process or of one of several.

    Raises `SettingsError` where there is none, or it lacks the precision.
    """
    device = device_of_rank(settings.device, rank)
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
