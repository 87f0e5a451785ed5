"""The device asked for, or an error that names those that are there."""

import platform
import subprocess
import sys

import pytest
import torch

from genre_mlflow.errors import SettingsError
from genre_mlflow.files.ranks import Rank
from genre_mlflow.processes import cores
from genre_mlflow.training.device import choose_device, describe_device, device_of_rank


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


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_process_of_a_machine_has_a_cuda_device_of_its_own(machine, name):
    machine(cuda=2, mps=True)
    assert device_of_rank(name, Rank(3, 4, local=1, local_size=2)) == torch.device("cuda:1")


def test_several_processes_are_on_the_processor_where_there_is_no_cuda_device(machine):
    machine(mps=True)
    assert device_of_rank("auto", Rank(1, 2, 0, 1)) == torch.device("cpu")
    assert device_of_rank("auto", Rank()) == torch.device("mps")


@pytest.mark.parametrize("name", ["mps", "cuda:0", "cuda:1"])
def test_one_device_for_several_processes_is_an_error(machine, name):
    machine(cuda=2, mps=True)
    message = f"^device is '{name}', which is one for 2 processes; allowed are auto, cpu and cuda$"
    with pytest.raises(SettingsError, match=message):
        device_of_rank(name, Rank(0, 2, 0, 2))


def test_a_device_that_is_absent_is_an_error_for_several_processes_too(machine):
    machine()
    with pytest.raises(SettingsError, match=r"^device 'cuda' is absent; available here: cpu$"):
        device_of_rank("cuda", Rank(0, 2, 0, 2))


@pytest.mark.parametrize(
    ("there", "has"),
    [
        ({"cuda": 2}, "2 CUDA devices"),
        ({"cuda": 1}, "1 CUDA device"),
        ({}, r"\d+ processor cores?"),
    ],
)
def test_more_processes_than_there_are_devices_are_an_error(machine, there, has):
    machine(**there)
    size = cores() + 3
    message = (
        f"^{size} processes are to train on this machine, which has {has}; allowed is one each"
    )
    with pytest.raises(SettingsError, match=message):
        device_of_rank("auto", Rank(0, size, 0, size))
