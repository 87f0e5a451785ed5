"""Processes that train one network together: who has what of a batch, and who is told what.

Every process goes through the same batches with the same random numbers, and answers for its share
of the rows. Sums over the processes (of the loss, its weight, the gradients, the statistics of
batch norm) make of that the step that one process alone would take, but for rounding.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from genre_mlflow import signals
from genre_mlflow.errors import RankError
from genre_mlflow.files.ranks import Rank
from genre_mlflow.memory import is_shortage
from genre_mlflow.training.checkpoint import first_line
from genre_mlflow.training.whole_batch import Share, WholeBatch, shares_of

ANSWER = timedelta(minutes=10)  # within a step, in which all have the same to do
MEET_S = 300.0  # processes of a group start seconds apart, and each imports torch
SHORTEST_S, LONGEST_S = 0.005, 0.2  # between two looks whether the leader has said something
DISMISSED = "dismissed"
SOURCE = re.compile(r"^\[\S+\] ")  # where in the source of gloo

T = TypeVar("T")


class Dismissed(Exception):
    """The leader has ended, well or not, and has said so."""


class Ranks:
    """One process on its own: it has all of each batch, and nobody to tell."""

    rank = Rank()

    @property
    def leads(self) -> bool:
        """Whether this is the process that keeps, logs and says what all have reached."""
        return self.rank.number == 0

    @property
    def has_others(self) -> bool:
        """Whether there are processes to tell anything."""
        return self.rank.size > 1

    def share(self, n: int) -> Share:
        """The rows of a batch of `n` that this process answers for."""
        return Share(slice(0, n), 1.0)

    def as_one(self, n: int) -> AbstractContextManager[object]:
        """In the block a network learns from its share of `n` rows as if it had them all."""
        return nullcontext()

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, which each of them gets."""
        return values

    def sum_gradients(self, network: nn.Module) -> None:
        """Give each process the sum of all gradients."""

    def tell(self, value: T) -> T:
        """What the leader gives here, on every process; the others wait for it, however long."""
        return value

    def hear(self) -> Any:
        """What the leader tells next."""
        raise NotImplementedError("one process has nobody to hear")

    def align(self, network: nn.Module) -> None:
        """Give each process the leader's weights."""


ALONE = Ranks()
CURRENT: ContextVar[Ranks] = ContextVar("ranks", default=ALONE)


def here() -> Ranks:
    """The group that this process has joined, or itself alone."""
    return CURRENT.get()


class Group(Ranks):
    """One of several processes.

    What all do at once goes through torch's process group, and fails when one is gone. For the
    leader, which may scan, decode or evaluate for hours, the others wait at the store, where a
    signal still reaches them. Raises `RankError`, or `Dismissed` where the leader has ended.
    """

    def __init__(self, rank: Rank, store: Store) -> None:
        self.rank, self.store, self.told = rank, store, 0

    def share(self, n: int) -> Share:
        """Rows that follow each other, as many as the others have, or one less."""
        return shares_of(n, self.rank.size)[self.rank.number]

    def as_one(self, n: int) -> AbstractContextManager[object]:
        """As for one process."""
        return WholeBatch(shares_of(n, self.rank.size), self.rank.number, self.sum)

    def sum(self, values: Tensor) -> Tensor:
        """As for one process."""
        total = values.detach().clone(memory_format=torch.contiguous_format)
        with self.answering():
            dist.all_reduce(total)
        return total

    def sum_gradients(self, network: nn.Module) -> None:
        """All in one message: what a message takes is not its length, for networks such as ours."""
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        total = self.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = total.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def tell(self, value: T) -> T:
        """As for one process."""
        if not self.leads:
            heard: T = self.hear()
            return heard
        with self.answering():
            self.store.set(self.next_key(), "")
            dist.broadcast_object_list([value], src=0, device=torch.device("cpu"))
        return value

    def hear(self) -> Any:
        """As for one process."""
        heard: list[Any] = [None]
        with self.answering():
            self.wait_for(self.next_key())
            dist.broadcast_object_list(heard, src=0, device=torch.device("cpu"))
        return heard[0]

    def next_key(self) -> str:
        """Under which the leader says that it has something to tell."""
        self.told += 1
        return f"told {self.told}"

    def align(self, network: nn.Module) -> None:
        """As for one process."""
        weights = {name: value.cpu() for name, value in network.state_dict().items()}
        network.load_state_dict(self.tell(weights if self.leads else {}))

    def wait_for(self, key: str) -> None:
        """Wait until the leader has set a key. Raises `Dismissed` where it never will."""
        pause_s = SHORTEST_S
        while not self.store.check([key]):
            if self.is_dismissed():
                raise Dismissed
            signals.check()
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_S)

    def is_dismissed(self) -> bool:
        """Whether the leader has said that it ends."""
        try:
            return self.store.check([DISMISSED])
        except RuntimeError:  # the store is gone, too
            return False

    def leave(self) -> None:
        """Let the others go, or go."""
        with suppress(RuntimeError):
            if self.leads:
                self.store.set(DISMISSED, "")
            if dist.is_initialized():
                dist.destroy_process_group()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """What the block asks of the others is answered, or they are gone."""
        try:
            yield
        except RuntimeError as error:
            if is_shortage(error):
                raise
            if not self.leads and self.is_dismissed():
                raise Dismissed from error
            raise RankError(
                f"one of the {self.rank.size} processes is gone, or has not answered for "
                f"{ANSWER.total_seconds() / 60:.0f} minutes ({SOURCE.sub('', first_line(error))})"
            ) from error


@contextmanager
def joined(rank: Rank) -> Iterator[Ranks]:
    """Be in a group with the others that `torchrun` has started, while the block runs.

    Raises `RankError` where they do not come.
    """
    if rank.size == 1:
        yield ALONE
        return
    group = Group(rank, meet(rank))
    token = CURRENT.set(group)
    try:
        with group.answering():
            dist.init_process_group(
                backends(), store=PrefixStore("group", group.store), rank=rank.number,
                world_size=rank.size, timeout=ANSWER,
            )  # fmt: skip
        yield group
    finally:
        CURRENT.reset(token)
        group.leave()


def backends() -> str:
    """What carries tensors on the processor, and on CUDA devices where there are some."""
    has_nccl = torch.cuda.is_available() and dist.is_nccl_available()
    return "cpu:gloo,cuda:nccl" if has_nccl else "gloo"


def meet(rank: Rank) -> Store:
    """The store of the group, when all have come to it. Raises `RankError` where they do not."""
    try:
        found, _, _ = next(rendezvous("env://", timeout=ANSWER))
        # One that torchrun's own process keeps outlives a restart of ours.
        store = PrefixStore(f"genre {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", found)
        store.add("here", 1)
        deadline = time.monotonic() + MEET_S
        while (n := store.add("here", 0)) < rank.size:
            signals.check()
            if time.monotonic() > deadline:
                raise RankError(f"{n} of {rank.size} processes have come within {MEET_S:.0f} s")
            time.sleep(LONGEST_S)
    except (RuntimeError, ValueError) as error:
        raise RankError(f"the {rank.size} processes cannot meet: {first_line(error)}") from error
    return store
