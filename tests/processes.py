"""Commands in processes of their own that need not import the heavy packages once more.

They are forked from one server that has imported them: as real, and as mortal, as processes that
begin with `python -m`, of which each room keeps a test too.
"""

import faulthandler
import itertools
import multiprocessing
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Self

HEAVY = ["torch", "torchvision", "mlflow", "optuna", "sklearn.metrics", "search.run"]


@cache
def server() -> ForkServerContext:
    """The server of this test session; it ends with it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    return context


sent: list["Hit"] = []  # in the process of a command


@dataclass(frozen=True)
class Hit:
    """Signals that reach a command when it has called something so many times.

    `target`: `module:name` or `module:Class.name`; `signals`: sent one after the other, by the
    process itself, when that call has ended, or when it begins where `before` is true. `second`:
    only what is called after another's signals counts.
    """

    target: str
    signals: tuple[int, ...]
    call: int = 1
    before: bool = False
    second: bool = False

    def prepare(self) -> None:
        """Wrap what is called."""
        module, _, names = self.target.partition(":")
        *owners, name = names.split(".")
        owner: Any = import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        kind = vars(owner).get(name)
        function = kind.__func__ if isinstance(kind, classmethod) else getattr(owner, name)
        wrapped = self.wrap(function)
        setattr(owner, name, classmethod(wrapped) if isinstance(kind, classmethod) else wrapped)

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, and the signals with one of its calls."""
        calls = itertools.count(1)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            # Its own number, for another thread may call it before this call has ended.
            is_it = (not self.second or bool(sent)) and next(calls) == self.call
            if self.before and is_it:
                self.send()
            result = function(*args, **kwargs)
            if not self.before and is_it:
                self.send()
            return result

        return wrapped

    def send(self) -> None:
        """All at once, to this process."""
        sent.append(self)
        for number in self.signals:
            os.kill(os.getpid(), number)


class Command:
    """`python -m module words...` in a folder, an environment and a process group of its own.

    What it prints, on both outputs, lies in the file `log`. `hits`: signals on its way.
    """

    def __init__(
        self,
        module: str,
        words: Sequence[str],
        log: Path,
        folder: Path,
        env: Mapping[str, str],
        hits: Sequence[Hit] = (),
    ) -> None:
        self.log = log
        log.write_bytes(b"")
        arguments = (module, list(words), str(log), str(folder), dict(env), list(hits))
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
        if self.code is None:
            os.kill(self.pid, signal.SIGUSR1)  # it writes where each of its threads is
            time.sleep(1)
        assert self.code is not None, f"no end after {timeout_s} s:\n{self.said[-6000:]}"
        return self

    def until(self, is_so: Callable[[], bool], timeout_s: float = 120) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + timeout_s
        while not is_so():
            assert time.monotonic() < deadline, self.said[-3000:]
            time.sleep(0.1)

    def wait(self) -> str:
        """What it has printed; it must have ended well."""
        assert self.join().code == 0, self.said[-3000:]
        return self.said

    def kill(self) -> int | None:
        """As a power cut would end it, with all that it has started. Its exit code."""
        if self.code is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has no group of its own yet, and has started nothing
                self.process.kill()
        self.process.join(60)
        return self.code


def run(
    module: str, words: list[str], log: str, folder: str, env: dict[str, str], hits: list[Hit]
) -> None:
    """What the new process does."""
    # Tests in the background ignore the one, those under `nohup` the other.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    out = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    for hit in hits:
        hit.prepare()
    faulthandler.register(signal.SIGUSR1)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
