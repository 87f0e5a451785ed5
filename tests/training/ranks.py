"""Processes that go through `fit` together, by gloo and a store in a file."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from genre_mlflow.files.ranks import Rank
from genre_mlflow.training.distributed import Group

Work = Callable[[Group], Any]


def together(work: Work, size: int, folder: Path) -> list[Any]:
    """What `work`, a function of a module, gives in each of so many processes."""
    mp.spawn(one, (work, size, str(folder)), nprocs=size)
    return [torch.load(folder / f"{number}", weights_only=False) for number in range(size)]


def one(number: int, work: Work, size: int, folder: str) -> None:
    """What one process does."""
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", size)
    dist.init_process_group(
        "gloo", store=dist.PrefixStore("group", store), rank=number, world_size=size
    )
    found = io.BytesIO()
    torch.save(work(Group(Rank(number, size), store)), found)
    Path(folder, f"{number}").write_bytes(found.getvalue())
    dist.destroy_process_group()
