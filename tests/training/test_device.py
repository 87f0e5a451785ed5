"""The device asked for, or an error that names those that are there."""

import platform
import subprocess
import sys

import pytest
import torch

from genre_mlflow.errors import SettingsError
from genre_mlflow.training.device import choose_device, describe_device


@pytest.fixture
def machine(monkeypatch):
    """Pretend that these accelerators are there."""

    def pretend(cuda: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        ({}, "cpu"),
        ({"mps": True}, "mps"),
        ({"cuda": 1}, "cuda"),
        ({"cuda": 2, "mps": True}, "cuda"),
    ],
)
def test_auto_is_cuda_then_mps_then_cpu(machine, there, chosen):
    machine(**there)
    assert choose_device("auto").type == chosen


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:1", "mps"])
def test_a_device_that_is_there_is_taken(machine, name):
    machine(cuda=2, mps=True)
    assert choose_device(name) == torch.device(name)


@pytest.mark.parametrize(
    ("name", "there", "available"),
    [
        ("cuda", {}, "cpu"),
        ("mps", {}, "cpu"),
        ("cuda:0", {"mps": True}, "mps, cpu"),
        ("cuda:2", {"cuda": 2}, "cuda, cpu"),
        ("meta", {}, "cpu"),
    ],
)
def test_a_device_that_is_absent_is_an_error(machine, name, there, available):
    machine(**there)
    with pytest.raises(SettingsError, match=f"'{name}' is absent; available here: {available}$"):
        choose_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "CUDA", "cuda:x"])
def test_an_unknown_device_is_an_error(machine, name):
    machine()
    with pytest.raises(SettingsError, match=f"device '{name}' is unknown; available here: cpu"):
        choose_device(name)


def test_description_names_the_threads_of_the_processor():
    assert describe_device(torch.device("cpu")).startswith(f"cpu ({torch.get_num_threads()} thread")
    assert describe_device(torch.device("mps")) == "mps"


@pytest.mark.slow
def test_freed_memory_is_kept_where_the_c_library_can():
    code = "from genre_mlflow.training.device import keep_freed_memory as k; print(k())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{platform.libc_ver()[0] == 'glibc'}\n"
