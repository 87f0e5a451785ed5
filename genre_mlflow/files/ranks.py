"""Processes that `torchrun` has started as one group, and what a process is in it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass


@dataclass(frozen=True)
class Rank:
    """The place of a process among `size` of them: rank 0 leads.

    `local`, `local_size`: the same among those on this machine.
    """

    number: int = 0
    size: int = 1
    local: int = 0
    local_size: int = 1


NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


def own_rank(environment: Mapping[str, str] = os.environ) -> Rank:
    """The rank of this process, as the variables of `torchrun` have it.

    A rank without a group to be in, as a scheduler or a shell may leave it behind, counts nothing.
    """
    found = [environment.get(name, "") for name in NAMES]
    if not (all(text.isdecimal() for text in found) and environment.get("MASTER_PORT")):
        return Rank()
    return Rank(*map(int, found))


@contextmanager
def leader_speaks() -> Iterator[None]:
    """Print nothing in the block where this process is not rank 0: all would say the same."""
    with ExitStack() as stack:
        if own_rank().number:
            nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(redirect_stdout(nowhere))
            stack.enter_context(redirect_stderr(nowhere))
        yield
