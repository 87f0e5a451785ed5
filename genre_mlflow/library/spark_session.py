"""A Spark session that is started without noise, fails in one line and leaves nothing behind."""

import logging
import os
import re
import shutil
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genre_mlflow.errors import ModelError, SettingsError
from genre_mlflow.library.spark_workers import is_local, wait_for_workers

if TYPE_CHECKING:
    from py4j.clientserver import ClientServer
    from pyspark.sql import SparkSession

MASTERS = "local, local[2], local[*], spark://HOST:PORT, yarn or k8s://ADDRESS"
MASTER = re.compile(r"local(\[([1-9]\d*|\*)\])?|spark://[^\s:]+:\d+(,[^\s:]+:\d+)*|yarn|k8s://\S+")
REACH_S = 10  # Spark itself would knock at a standalone master for a minute
STOP_S = 30
PYTHON = "PYSPARK_PYTHON"  # the variable that names the workers' Python
# Of the lines that a Java process leaves when it dies, those that do not say why.
NOISE = re.compile(r"\s|.*\bWARN|Using Spark's default|Setting |To adjust ")

GONE = (
    "its Java process is gone; most often it had too little memory, of which PYSPARK_SUBMIT_ARGS="
    "'--driver-memory 8g pyspark-shell' gives more"
)
MAX_BYTES = 64 << 20  # of one file
# Java holds a file as bytes, as a row of two formats, as Arrow and as a message: measured, 100 MiB
# on each of two cores went through with 3 GiB and not with 2.
HEAP_PER_BYTE, HEAP_BYTES = 12, 512 << 20

# What holds for this session alone, and may be set in one that runs already.
SESSION = {
    # A file that is gone or cannot be read is left out, and does not fail the job.
    "spark.sql.files.ignoreMissingFiles": "true",
    "spark.sql.files.ignoreCorruptFiles": "true",
    # Each record holds a whole file. Spark's own 10,000 a batch would be gigabytes.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "16",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(64 << 20),
}

LOCAL = {"spark.driver.host": "127.0.0.1"}  # no name of this machine needs to be known


@contextmanager
def spark_session(master: str, folder: Path) -> "Iterator[SparkSession]":
    """A session on `master` until the block ends; `folder` is for Spark's own files.

    A session that runs in this process already is lent, with settings apart from its own, and
    goes on running. Raises `SettingsError` for a master that is none or cannot be reached, and
    where pyspark or Java is missing, and `ModelError` when a job fails in the block.
    """
    check_master(master)
    check_installed()
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    if running is not None:
        with hushed(), spark_errors():
            yield lend(running, master)
    else:
        with hushed(), own_session(master, folder) as spark:
            yield spark


def check_master(master: str) -> None:
    """Refuse what is no address, and a standalone master where nobody answers."""
    if not MASTER.fullmatch(master):
        raise SettingsError(f"--master is {master!r}; allowed are {MASTERS}")
    if master.startswith("spark://"):
        hosts = [host.split(":") for host in master.removeprefix("spark://").split(",")]
        if not any(answers(host, int(port)) for host, port in hosts):
            raise SettingsError(f"nobody answers at --master {master}; is the cluster running?")


def answers(host: str, port: int) -> bool:
    """True if somebody listens there."""
    try:
        socket.create_connection((host, port), REACH_S).close()
    except (OSError, OverflowError):
        return False
    return True


def check_installed() -> None:
    """Raise `SettingsError` where pyspark or Java is missing."""
    try:
        import pyspark  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "pyspark is not installed, which scoring with Spark needs; the remedy is "
            "pip install 'genre-mlflow[spark]'"
        ) from error
    home = os.environ.get("JAVA_HOME", "")
    if not (shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")):
        where = f"in JAVA_HOME, {home}" if home else "on PATH, and JAVA_HOME is not set"
        raise SettingsError(f"Spark needs Java 17 or later; there is none {where}")


def lend(running: "SparkSession", master: str) -> "SparkSession":
    """A session beside the one that runs, with settings of its own."""
    actual = running.sparkContext.master
    if actual != master:
        raise SettingsError(f"--master is {master!r}, but Spark runs here already, on {actual!r}")
    spark = running.newSession()
    for name, value in SESSION.items():
        spark.conf.set(name, value)
    return spark


@contextmanager
def own_session(master: str, folder: Path) -> "Iterator[SparkSession]":
    """Start Spark, its output in a file, and stop it at the end, the Java process too."""
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    conf = SparkConf().setAll(list(settings(master, folder).items()))
    with python_of_workers(), interrupts_as_before():
        gateway = None if SparkContext._gateway else launch(conf, folder / "spark.log")
        try:
            with spark_errors():  # while Java, which has the text of its errors, is alive
                context = SparkContext(gateway=gateway, conf=conf)
                try:
                    wait_for_workers(context)
                    yield SparkSession(context)
                finally:
                    context.stop()
        finally:
            if gateway is not None:
                shut_down(gateway)


def settings(master: str, folder: Path) -> dict[str, str]:
    """What Spark is started with; a cluster's memory and cores are set in Spark's own ways."""
    return {
        "spark.master": master,
        "spark.app.name": "genre-mlflow",
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        **(LOCAL | {"spark.driver.memory": f"{heap_mib(master)}m"} if is_local(master) else {}),
        **SESSION,
    }


def heap_mib(master: str) -> int:
    """Memory for Java when it works in this machine, so that a large file on each core fits."""
    match = re.search(r"\d+|\*", master)
    n_cores = 1 if match is None else (os.cpu_count() or 1) if match[0] == "*" else int(match[0])
    return (HEAP_BYTES + n_cores * HEAP_PER_BYTE * MAX_BYTES) >> 20


def launch(conf: Any, log: Path) -> "ClientServer":
    """Start Java, which prints what no setting can silence, with its output in `log`."""
    from pyspark.errors import PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway

    with log.open("w") as output:
        try:
            return launch_gateway(conf, {"stdout": output, "stderr": output})
        except PySparkRuntimeError as error:
            lines = filter(None, log.read_text(errors="replace").splitlines())
            reason = next((line for line in lines if not NOISE.match(line)), "Java says nothing")
            raise SettingsError(f"Spark could not be started: {reason}") from error


def shut_down(gateway: "ClientServer") -> None:
    """End the Java process, so that the next session starts another."""
    from pyspark import SparkContext

    gateway.shutdown()
    if gateway.proc is not None:  # None: this process was started by Java itself
        gateway.proc.stdin.close()
        gateway.proc.wait(STOP_S)
    SparkContext._gateway = SparkContext._jvm = None


@contextmanager
def python_of_workers() -> Iterator[None]:
    """This Python for the workers, unless the user chose one; Spark's own choice is `python3`."""
    if os.environ.get(PYTHON):
        yield
        return
    os.environ[PYTHON] = sys.executable
    try:
        yield
    finally:
        del os.environ[PYTHON]


@contextmanager
def interrupts_as_before() -> Iterator[None]:
    """Take back Spark's own answer to Ctrl-C, which fails once its session is stopped."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


@contextmanager
def hushed() -> Iterator[None]:
    """Leave out what pyspark and py4j say beside their exceptions."""
    root = logging.getLogger()  # py4j speaks through it when Java dies, with a traceback
    root.addFilter(not_py4j)
    try:
        with warnings.catch_warnings():
            # What we call of PySpark works with pandas 3, of which it warns in general.
            warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")
            warnings.filterwarnings("ignore", "Unable to cleanly shutdown Spark JVM process")
            yield
    finally:
        root.removeFilter(not_py4j)


def not_py4j(record: logging.LogRecord) -> bool:
    """True for records of others."""
    return "py4j" not in Path(record.pathname).parts


@contextmanager
def spark_errors() -> Iterator[None]:
    """Turn Spark's exceptions, with their stacks of two languages, into one line."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError, ConnectionError, EOFError) as error:
        raise ModelError(f"Spark: {reason_of(text_of(error))}") from None


def text_of(error: Exception) -> str:
    """What an exception of Spark says; some ask Java for it, which may have died of the cause."""
    from py4j.protocol import Py4JError, Py4JJavaError, Py4JNetworkError

    try:
        text = str(error.java_exception if isinstance(error, Py4JJavaError) else error)
    except (Py4JError, ConnectionError):
        return GONE
    return GONE if isinstance(error, Py4JNetworkError | ConnectionError | EOFError) else text


def reason_of(text: str) -> str:
    """The last line of a Python traceback from a worker, or the first of anything else."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(lines[-1:] if "Traceback" in text else lines[:1])
