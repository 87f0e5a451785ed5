"""Signals that ask a command to stop, heard between its steps.

While nothing is open, a signal ends the command at once. Within `between_steps` it is a request,
which `check` honours once, at the end of a step; what follows is tidying, and no signal disturbs
it. A step that lasts too long is cut off.
"""

import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_S = 4.0  # with the tidying and an interpreter's end, a command is gone within 10 s
FIRST_EXIT_CODE = 128  # and the number of the signal, as shells have it


class Listener:
    """What this process was asked to do, and whether it can be disturbed now."""

    def __init__(self) -> None:
        self.asked = 0  # number of the first signal
        self.open = 0  # blocks of `between_steps`
        self.held = 0  # blocks of `undisturbed`
        self.ticks = 0  # of the clock that runs since the first signal
        self.is_cut = self.is_ending = False

    def hear(self, number: int, frame: FrameType | None) -> None:
        """The first signal counts; all that follow are the same request."""
        if self.asked:
            return
        self.asked = number
        if number == signal.SIGHUP:
            leave_terminal()
        signal.signal(signal.SIGALRM, self.insist)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S, PATIENCE_S)
        if not self.open:
            raise KeyboardInterrupt

    def insist(self, number: int, frame: FrameType | None) -> None:
        """Cut off a step; what is being opened has twice as long, and tidying goes on."""
        self.ticks += 1
        if self.is_ending or (self.held and (self.is_cut or self.ticks == 1)):
            return
        self.is_cut = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Honour a request that has come."""
        if self.asked and not self.is_ending:
            self.end()
            raise KeyboardInterrupt

    def end(self) -> None:
        """Nothing is cut off any more, and the clock stops.

        It would outlive its handler, which the interpreter takes away before it has ended, and
        then kill the process.
        """
        self.is_ending = True
        signal.setitimer(signal.ITIMER_REAL, 0)


listener = Listener()
check = listener.check


def asked() -> bool:
    """Whether a signal has asked this process to stop."""
    return bool(listener.asked)


def exit_code() -> int:
    """What a process that was interrupted ends with."""
    return FIRST_EXIT_CODE + (listener.asked or signal.SIGINT)


@contextmanager
def listening() -> Iterator[None]:
    """Hear signals while the block runs, but for those that the caller has set to be ignored.

    Only the main thread of a process can. Once a signal has come, this stays so until its end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number in SIGNALS if before[number] != signal.SIG_IGN]  # as `nohup` does
    for number in heard:
        signal.signal(number, listener.hear)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)  # a parent may have kept them from us
    try:
        yield
    finally:
        if listener.asked:
            listener.end()
        else:
            for number in heard:
                signal.signal(number, before[number])


@contextmanager
def between_steps() -> Iterator[None]:
    """Hold a signal back until `check`, while the block has something open that must be closed."""
    listener.open += 1
    try:
        yield
    finally:
        listener.open -= 1


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let the block end before a step that lasts too long is cut off: it opens or closes."""
    listener.held += 1
    try:
        yield
    finally:
        listener.held -= 1


@contextmanager
def kept_back() -> Iterator[None]:
    """Keep signals waiting while the block runs; a process that it starts keeps them back, too.

    Until that one calls `listening`, and can end without a traceback. Not SIGTERM, which ends it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_terminal() -> None:
    """Write into nothing what would go to a terminal that is gone: that is an error, there."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    own = {0, 1, 2}
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            own.add(stream.fileno())
    for descriptor in own:
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)
