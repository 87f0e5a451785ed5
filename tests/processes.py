"""Commands in processes of their own that need not import the heavy packages once more.

They are forked from one server that has imported them: as real, and as mortal, as processes that
begin with `python -m`, of which each room keeps a test too.
"""

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Self

HEAVY = ["torch", "torchvision", "mlflow", "optuna", "sklearn.metrics", "search.run"]


@cache
def server() -> ForkServerContext:
    """The server of this test session; it ends with it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    return context


class Command:
    """`python -m module words...` in a folder, an environment and a process group of its own.

    What it prints, on both outputs, lies in the file `log`.
    """

    def __init__(
        self, module: str, words: Sequence[str], log: Path, folder: Path, env: Mapping[str, str]
    ) -> None:
        self.log = log
        log.write_bytes(b"")
        arguments = (module, list(words), str(log), str(folder), dict(env))
        self.process = server().Process(target=run, args=arguments)
        self.process.start()
        assert self.process.pid is not None
        self.pid: int = self.process.pid

    @property
    def code(self) -> int | None:
        """Exit code, minus the signal that killed it, None while it runs."""
        return self.process.exitcode

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self.log.read_text()

    def join(self, timeout_s: float = 600) -> Self:
        """Wait for its end."""
        self.process.join(timeout_s)
        assert self.code is not None, f"no end after {timeout_s} s:\n{self.said[-3000:]}"
        return self

    def wait(self) -> str:
        """What it has printed; it must have ended well."""
        assert self.join().code == 0, self.said[-3000:]
        return self.said

    def kill(self) -> int | None:
        """As a power cut would end it, with all that it has started. Its exit code."""
        if self.code is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.process.join(60)
        return self.code


def run(module: str, words: list[str], log: str, folder: str, env: dict[str, str]) -> None:
    """What the new process does."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    out = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
