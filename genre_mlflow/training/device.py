"""Which device to train on, and what is tuned about the processor."""

import ctypes
import sys
from contextlib import AbstractContextManager

import torch

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.data.resident import ResidentTracks
from genre_mlflow.errors import SettingsError
from genre_mlflow.files.ranks import Rank
from genre_mlflow.files.words import counted
from genre_mlflow.memory import out_of_memory
from genre_mlflow.processes import cores

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
SMALLER = "lower batch_size, image_size or widths, or let fewer workers train at once"
SHARE = 0.5  # of what is free on a device that decoded tracks may take
KEEP_BYTES = 2**31 - 1  # the largest value that mallopt, which takes an int, can be given


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA, then MPS, then the processor; any other name must be there.

    Raises `SettingsError` for a device that is unknown or absent.
    """
    available = devices()
    if name == "auto":
        return torch.device(available[0].partition(":")[0])
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingsError(
            f"device {name!r} is unknown; available here: {', '.join(available)}"
        ) from error
    if str(device) not in {*available, *(one.partition(":")[0] for one in available)}:
        raise SettingsError(f"device {name!r} is absent; available here: {', '.join(available)}")
    return device


def device_of_rank(name: str, rank: Rank) -> torch.device:
    """The device of one of several processes that train together: a CUDA device or a core each.

    `auto` is CUDA, then the processor. Raises `SettingsError` for one that all would have to share.
    """
    if rank.size == 1:
        return choose_device(name)
    if name == "auto" and not torch.cuda.is_available():
        name = "cpu"
    device = choose_device(name)
    if device.type == "mps" or ":" in name:
        raise SettingsError(
            f"device is {name!r}, which is one for {rank.size} processes; allowed are auto, cpu "
            "and cuda"
        )
    on_cuda = device.type == "cuda"
    most = torch.cuda.device_count() if on_cuda else cores()
    if rank.local_size > most:
        there = counted(most, "CUDA device" if on_cuda else "processor core")
        raise SettingsError(
            f"{rank.local_size} processes are to train on this machine, which has {there}; allowed "
            "is one each"
        )
    return torch.device("cuda", rank.local) if on_cuda else device


def devices() -> list[str]:
    """The devices of this machine, the best first: each GPU by its number, MPS, the processor."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [*(f"cuda:{n}" for n in range(gpus)), *["mps"] * torch.mps.is_available(), "cpu"]


def on_device(tracks: TrackDataset, device: torch.device) -> TrackDataset:
    """The tracks with their pixels on the device where they fit well, else as they are.

    Those that are dealt variants stay, too: these lie in files.
    """
    if tracks.variants or tracks.nbytes > SHARE * free_bytes(device):
        return tracks
    return ResidentTracks.of(tracks, device)


def free_bytes(device: torch.device) -> int:
    """Memory of a device that is free; none of the processor's, where nothing need be moved."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return 0


def device_of_worker(name: str, worker: int) -> str:
    """The device of one of several workers on this machine: with several GPUs, one each."""
    count = torch.cuda.device_count() if name in ("auto", "cuda") else 0
    return f"cuda:{worker % count}" if count > 1 else name


def threads_of_worker(workers: int) -> int:
    """Threads for each of several workers on this machine; together they fill its cores."""
    return max(1, torch.get_num_threads() // workers)


def describe_devices(device: torch.device, rank: Rank) -> str:
    """The device of this process, and how many train together."""
    own = describe_device(device)
    return own if rank.size == 1 else f"{rank.size} processes, this one on {own}"


def describe_device(device: torch.device) -> str:
    """The device and what is behind it, for people."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu ({threads} thread{'s' if threads > 1 else ''})"
    return str(device)


def enough_memory(device: torch.device) -> AbstractContextManager[None]:
    """Raise `MemoryShortage`, which names the device, where training in the block lacks memory."""
    return out_of_memory(str(device), SMALLER)


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory for the next batch instead of giving it back each time.

    Giving it back costs a page fault per 4 KiB at the next allocation: a third of a training step
    on the processor. Returns False where the C library has no `mallopt` (macOS, Windows, musl).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, KEEP_BYTES) and mallopt(M_TRIM_THRESHOLD, KEEP_BYTES))
