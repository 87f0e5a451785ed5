"""Processes that `torchrun` has started as one group, and who of them holds what."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from genre_mlflow.errors import GenreError
from genre_mlflow.files.atomic import atomic_write
from genre_mlflow.files.locks import hold_lock

# What torchrun tells every process of a group alike, on whatever machine. The id alone is not
# enough: it is "none" unless one is asked for.
GROUP_VARIABLES = ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT")
LEADER_WAIT_S = 60.0  # processes of a group start seconds apart, and each imports torch and mlflow
LOOK_S = 0.1


@dataclass(frozen=True)
class Rank:
    """The place of a process in its group: rank 0 leads. `group` is empty for one on its own."""

    number: int = 0
    group: str = ""


def own_rank(environment: Mapping[str, str] = os.environ) -> Rank:
    """The rank of this process, as the variables of `torchrun` have it.

    A rank without a group to be in, as a scheduler or a shell may leave it behind, counts nothing.
    """
    number, port = environment.get("RANK", ""), environment.get("MASTER_PORT", "")
    if not (number.isdecimal() and port):
        return Rank()
    return Rank(int(number), " ".join(environment.get(name, "") for name in GROUP_VARIABLES))


@contextmanager
def hold_together(file: Path, taken: GenreError) -> Iterator[None]:
    """Hold a lock file as one process, or as one group of which rank 0 takes it.

    The other ranks come in once rank 0 says, in a file beside the lock, that their group is in; so
    all of them must see that file, on a disk they share. A killed process lets go. Raises `taken`
    where another process or group holds the lock, and also for a rank whose rank 0 does not come.
    """
    rank, leader = own_rank(), file.with_suffix(".leader")
    if rank.number > 0:
        if not follows(leader, rank):
            raise type(taken)(
                f"{taken}, or rank 0 of this group, which rank {rank.number} follows, is not there"
            )
        yield
        return
    with hold_lock(file, taken), leading(leader, rank):
        yield


@contextmanager
def leading(file: Path, rank: Rank) -> Iterator[None]:
    """Say in `file` whose group is in, for as long as the block runs.

    For whoever holds the lock beside it, a process on its own too: what a killed leader has left
    there would let ranks in that are not its own.
    """
    file.unlink(missing_ok=True)
    if rank.group:
        with atomic_write(file) as out:
            out.write(rank.group.encode())
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def follows(file: Path, rank: Rank) -> bool:
    """Whether rank 0 of the same group says in `file`, within a minute, that it is in."""
    deadline = time.monotonic() + LEADER_WAIT_S
    while not says(file, rank.group):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_S)
    return True


def says(file: Path, group: str) -> bool:
    """Whether `file` is there and names this group."""
    try:
        return file.read_text("utf-8") == group
    except FileNotFoundError:
        return False
