"""The device asked for, or an error that names those that are there."""

import platform
import subprocess
import sys

import pytest
import torch

from genre_mlflow.data.resident import ResidentTracks
from genre_mlflow.errors import SettingsError
from genre_mlflow.files.ranks import Rank
from genre_mlflow.processes import cores
from genre_mlflow.training.device import (
    choose_device,
    describe_device,
    device_of_rank,
    on_device,
)
from genre_mlflow.training.precision import autocast, device_for, precision_on
from genre_mlflow.training.settings import PRECISIONS, TrainingSettings


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
        ("cuda:2", {"cuda": 2}, "cuda:0, cuda:1, cpu"),
        ("mps", {"cuda": 1}, "cuda:0, cpu"),
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


@pytest.mark.parametrize(("native", "chosen"), [((8, 0), torch.bfloat16), ((7, 5), torch.float32)])
def test_a_gpu_learns_in_bfloat16_where_it_has_it(machine, monkeypatch, native, chosen):
    machine(cuda=1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: native)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "old GPU")
    device = torch.device("cuda", 0)
    assert precision_on(device, "auto") is chosen
    assert precision_on(device, "float32") is torch.float32
    if chosen is torch.bfloat16:
        assert precision_on(device, "bfloat16") is torch.bfloat16
        return
    with pytest.raises(SettingsError, match=r"cuda:0 \(old GPU\) would only emulate it"):
        precision_on(device, "bfloat16")


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_elsewhere_bfloat16_is_refused_and_nothing_is_lowered(machine, device):
    machine(mps=True)
    assert precision_on(torch.device(device), "auto") is torch.float32
    refused = f"^precision is bfloat16, but {device}.* would only emulate it, many times slower; "
    with pytest.raises(SettingsError, match=refused + "allowed here are auto and float32$"):
        device_for(TrainingSettings(device=device, precision="bfloat16"))
    with autocast(torch.device(device), torch.float32):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32


def test_layers_compute_in_the_precision_that_was_chosen():
    with autocast(torch.device("cpu"), torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16


def test_an_unknown_precision_is_refused():
    with pytest.raises(SettingsError, match=f"precision .*{', '.join(PRECISIONS)}"):
        TrainingSettings(precision="float16")


def test_tracks_are_brought_to_a_device_with_room_for_twice_as_many(machine, monkeypatch, train):
    machine(cuda=1)
    device = torch.device("cuda")
    monkeypatch.setattr(
        torch.cuda, "mem_get_info", lambda device: (2 * len(train) * 3 * 32**2 - 1, 0)
    )
    assert on_device(train, device) is train
    assert on_device(train, torch.device("cpu")) is train
    monkeypatch.setattr("genre_mlflow.training.device.free_bytes", lambda device: 2 * train.nbytes)
    assert isinstance(on_device(train, torch.device("meta")), ResidentTracks)


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
