"""Torch on one thread for a while, in each thread of this process that asks for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Asked:
    """How many threads are in a block of `one_thread`, and what holds outside of it."""

    lock = threading.Lock()
    count = 0
    outside = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use this thread alone in the block: helpers wait for each other and heat the cores.

    What `torch.set_num_threads` sets holds for the calling thread, and for each one that has not
    used torch yet. So the number to go back to is that which the first of several threads found.
    """
    with Asked.lock:
        if Asked.count == 0:
            Asked.outside = torch.get_num_threads()
        Asked.count += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with Asked.lock:
            Asked.count -= 1
            torch.set_num_threads(Asked.outside)
