"""A signal is heard between steps, once; a step that lasts too long is cut off."""

import os
import pty
import signal
import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
import os, signal, sys, time
from genre_mlflow import signals

signals.PATIENCE_S = 0.2

def send(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)

def go():
    try:
        with signals.listening():
            work()
    except KeyboardInterrupt:
        print("stopped", flush=True)
        sys.exit(signals.exit_code())
    print("ended", flush=True)
"""


def said(work: str, code: int, **how: object) -> list[str]:
    """What a process that runs `work` says in words, and it must end with that code."""
    script = PRELUDE + "def work():\n" + textwrap.indent(textwrap.dedent(work), "    ") + "\ngo()"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, **how
    )
    assert done.returncode == code, done.stderr
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_while_nothing_is_open_a_signal_ends_it_at_once(name: str) -> None:
    work = f"send(signal.{name})\nprint('late')"
    assert said(work, 128 + getattr(signal, name)) == ["stopped"]


def test_what_is_open_is_left_between_steps_and_tidied_undisturbed() -> None:
    work = """
    with signals.between_steps():
        try:
            for step in range(3):
                send(signal.SIGINT)
                print("step", flush=True)
                if step:
                    signals.check()
        finally:
            send(signal.SIGINT, signal.SIGTERM)
            time.sleep(1)
            signals.check()
            print("tidied", flush=True)
    """
    assert said(work, 130) == ["step", "step", "tidied", "stopped"]


def test_a_step_that_lasts_too_long_is_cut_off() -> None:
    work = """
    with signals.between_steps():
        send(signal.SIGTERM)
        time.sleep(60)
    """
    assert said(work, 143) == ["stopped"]


def test_what_opens_something_has_twice_as_long() -> None:
    work = """
    with signals.between_steps(), signals.undisturbed():
        send(signal.SIGTERM)
        time.sleep(0.3)
        print("opened", flush=True)
        time.sleep(60)
    """
    assert said(work, 143) == ["opened", "stopped"]


def test_what_closes_after_a_cut_goes_on() -> None:
    work = """
    with signals.between_steps():
        try:
            send(signal.SIGTERM)
            time.sleep(60)
        finally:
            with signals.undisturbed():
                time.sleep(1)
                print("closed", flush=True)
    """
    assert said(work, 143) == ["closed", "stopped"]


def test_what_has_nothing_left_to_do_ends_well() -> None:
    work = """
    with signals.between_steps():
        send(signal.SIGTERM)
    """
    assert said(work, 0) == ["ended"]


def test_a_signal_that_the_caller_ignores_stays_ignored() -> None:
    """As `nohup` has it."""

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    assert said("send(signal.SIGHUP)\nprint('on')", 0, preexec_fn=ignore) == ["on", "ended"]


def test_a_signal_that_was_kept_back_is_heard_when_the_process_listens() -> None:
    """From a process that starts, whose imports would end in a traceback."""
    child = PRELUDE + "work = lambda: print('late')\nprint('imported')\ngo()"
    work = f"""
    import subprocess
    with signals.kept_back():
        child = subprocess.Popen([sys.executable, "-c", {child!r}])
        child.send_signal(signal.SIGINT)
    print(child.wait(), flush=True)
    """
    assert said(work, 0) == ["imported", "stopped", "130", "ended"]


def test_a_terminal_that_is_gone_does_not_stop_the_tidying() -> None:
    """Writing to it is an error, after SIGHUP."""
    master, slave = pty.openpty()
    reader, writer = os.pipe()
    script = PRELUDE + textwrap.dedent(
        f"""
        def work():
            with signals.between_steps():
                try:
                    os.write({writer}, b"ready ")
                    while True:
                        time.sleep(0.01)
                        signals.check()
                finally:
                    print("a line that nobody reads", flush=True)
                    os.write({writer}, b"tidied")
        go()
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=slave, stdout=slave, stderr=slave,
        pass_fds=[writer], start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        assert told.read(6) == b"ready "
        os.close(master)
        process.send_signal(signal.SIGHUP)
        assert told.read() == b"tidied"
    assert process.wait(30) == 129


def test_the_clock_does_not_outlive_its_handler() -> None:
    work = """
    class Slow:  # what an interpreter still has to take down when it hears no signal any more
        def __del__(self, sleep=time.sleep):
            sleep(0.6)

    sys.modules["slow"] = Slow()
    with signals.between_steps():
        send(signal.SIGINT)
        signals.check()
    """
    assert said(work, 130) == ["stopped"]
