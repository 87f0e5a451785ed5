"""The workers of a Spark cluster: waited for, missed, and not waited for without end."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from genre_mlflow.errors import ModelError, SettingsError

if TYPE_CHECKING:
    from pyspark import SparkContext

WORKERS_S = 120  # a cluster may have to start them
LOOK_S = 1  # between two looks whether there are any


def is_local(master: str) -> bool:
    """True where Spark runs in this machine's own process."""
    return master.startswith("local")


def wait_for_workers(context: "SparkContext") -> None:
    """Raise `SettingsError` where no worker turns up; Spark would wait for ever without a word."""
    conf = context.getConf()
    if is_local(context.master) or conf.get("spark.dynamicAllocation.enabled") == "true":
        return  # the latter starts workers for a job alone
    deadline = time.monotonic() + WORKERS_S
    while not has_workers(context):
        if time.monotonic() > deadline:
            raise SettingsError(
                f"no worker of --master {context.master} came within {WORKERS_S} s; are there any, "
                "and is as much free as spark.executor.memory and spark.executor.cores ask for?"
            )
        time.sleep(0.5)


def has_workers(context: "SparkContext") -> bool:
    """Whether a cluster has given us any. Raises `SettingsError` where it does not take us at all.

    A master of another version does not, nor does what is no master; Spark asks for a minute.
    """
    from py4j.protocol import Py4JJavaError

    try:
        return bool(context._jsc.sc().getExecutorMemoryStatus().size() > 1)  # the driver is one
    except Py4JJavaError as error:
        raise SettingsError(
            f"what answers at --master {context.master} takes no work from here; is it a master of "
            f"Spark {context.version}?"
        ) from error


@contextmanager
def given_up_without_workers(context: "SparkContext") -> Iterator[None]:
    """Raise `ModelError` when the workers of a cluster are gone for long, while the block runs.

    What one of them was doing the others do again; without any Spark would wait for ever.
    """
    if is_local(context.master):
        yield
        return
    ended, lost = threading.Event(), threading.Event()
    thread = threading.Thread(target=watch, args=(context, ended, lost), daemon=True)
    thread.start()
    try:
        yield
    except Exception as error:
        if not lost.is_set():
            raise
        raise ModelError(
            f"all workers of --master {context.master} are gone, and none came back within "
            f"{WORKERS_S} s; with --out TABLE.csv the same command goes on where this one was"
        ) from error
    finally:
        ended.set()
        thread.join()


def watch(context: "SparkContext", ended: threading.Event, lost: threading.Event) -> None:
    """Cancel all jobs once no worker has been there for too long, until the block ends."""
    seen = time.monotonic()
    while not ended.wait(LOOK_S):
        try:
            if has_workers(context):
                seen = time.monotonic()
            elif time.monotonic() - seen > WORKERS_S:
                lost.set()
                context.cancelAllJobs()
        except Exception:  # Java is gone, which the block finds out by itself
            return
