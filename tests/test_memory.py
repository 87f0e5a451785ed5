"""A lack of memory is one line, whoever runs out of it; anything else passes as it is."""

import weakref

import numpy as np
import pytest
import torch
from greed import TOO_MUCH
from PIL import Image

from genre_mlflow.memory import MemoryShortage, out_of_memory


@pytest.mark.parametrize(
    ("ask", "size"),
    [
        (lambda: bytearray(TOO_MUCH), ""),
        (lambda: np.empty(TOO_MUCH, np.float32), " (4.00 PiB were asked for)"),
        (lambda: torch.empty(TOO_MUCH), " (4,294,967,296 MiB were asked for)"),
        (lambda: Image.new("L", (2**30, 2**30)), ""),
    ],
)
def test_a_shortage_names_where_how_much_and_what_to_do(ask, size):
    with pytest.raises(MemoryShortage) as raised, out_of_memory("cpu", "free some"):
        ask()
    assert str(raised.value) == f"out of memory on cpu{size}; free some"


@pytest.mark.parametrize(  # what devices say that are not here, and libraries on them
    ("error", "size"),
    [
        (
            torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of "
                "79.11 GiB of which 18.12 MiB is free."
            ),
            " (20.00 MiB were asked for)",
        ),
        (
            RuntimeError(
                "MPS backend out of memory (MPS allocated: 8.81 GB, max allowed: 18.13 GB). Tried "
                "to allocate 256.00 MB on private pool."
            ),
            " (256.00 MB were asked for)",
        ),
        (RuntimeError("CUDA error: out of memory"), ""),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), ""),
        (
            RuntimeError("not enough memory: you tried to allocate 8589934592 bytes."),
            " (8,192 MiB were asked for)",
        ),
        (RuntimeError("std::bad_alloc"), ""),
        (OSError(12, "Cannot allocate memory"), ""),
    ],
)  # fmt: skip
def test_other_devices_are_understood(error, size):
    with pytest.raises(MemoryShortage) as raised, out_of_memory("cuda:0", "free some"):
        raise error
    assert str(raised.value) == f"out of memory on cuda:0{size}; free some"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("out of memory"),
        OSError(28, "No space left on device"), KeyboardInterrupt(),
    ],
)  # fmt: skip
def test_another_error_passes(error):
    with pytest.raises(type(error)) as raised, out_of_memory("cpu", "free some"):
        raise error
    assert raised.value is error


def test_what_the_block_held_is_free_while_the_error_is_handled():
    held = []

    def hold_and_ask() -> None:
        large = torch.zeros(10)
        held.append(weakref.ref(large))
        torch.empty(TOO_MUCH)

    with pytest.raises(MemoryShortage) as raised, out_of_memory("cpu", "free some"):
        hold_and_ask()
    assert raised.value.__cause__ is not None
    assert held[0]() is None
