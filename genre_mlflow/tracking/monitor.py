"""The load of the machine, logged into a run by MLflow's own monitor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from genre_mlflow import signals
from genre_mlflow.tracking.store import impatient

PATIENCE_S = 1.0  # with its thread, which may be waiting for a store that is gone


@contextmanager
def monitored(run_id: str, is_store_gone: Callable[[], bool]) -> Iterator[None]:
    """Log the load of the machine into a run while the block runs."""
    monitor = SystemMetricsMonitor(run_id, resume_logging=True)
    monitor.start()
    try:
        yield
    except BaseException:
        leave(monitor)
        raise
    if is_store_gone():
        leave(monitor)
    else:
        monitor.finish()


def leave(monitor: SystemMetricsMonitor) -> None:
    """End it without waiting for a store that may be gone."""
    with signals.undisturbed(), impatient():
        ending = Thread(target=monitor.finish, daemon=True)
        ending.start()
        ending.join(PATIENCE_S)
