"""A run in MLflow: its parameters, metrics, tags and status."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

PARAMS_PER_BATCH = 100  # MLflow's limit


@dataclass(frozen=True)
class DatasetName:
    """How metrics name the dataset that they were measured on."""

    name: str
    digest: str


def log_metrics(
    client: MlflowClient,
    run_id: str,
    values: Mapping[str, float],
    step: int,
    timestamp_ms: int,
    model_id: str | None,
    dataset: DatasetName,
) -> None:
    """Log metrics in one call, linked to the model and the dataset they were measured on."""
    client.log_batch(
        run_id,
        metrics=[
            Metric(name, value, timestamp_ms, step, model_id, dataset.name, dataset.digest, run_id)
            for name, value in values.items()
        ],
    )


def log_params(client: MlflowClient, run: Run, params: Mapping[str, str]) -> None:
    """Log parameters, but leave alone those that the run has: MLflow refuses a second value."""
    new = [Param(key, value) for key, value in params.items() if key not in run.data.params]
    for start in range(0, len(new), PARAMS_PER_BATCH):
        client.log_batch(run.info.run_id, params=new[start : start + PARAMS_PER_BATCH])


def log_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of a run in one call."""
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


@contextmanager
def running(client: MlflowClient, run_id: str, *, owned: bool) -> Iterator[None]:
    """Keep a run's status and its system metrics while the block runs.

    A run that is not `owned` was opened by `mlflow run`, which writes its status itself.
    """
    monitor = SystemMetricsMonitor(run_id, resume_logging=True)
    if owned:
        client.update_run(run_id, status="RUNNING")
    monitor.start()
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        monitor.finish()
        if owned:
            end(client, run_id, status)


def end(client: MlflowClient, run_id: str, status: str) -> None:
    """Write a run's last status; a store that is gone must not hide why the run ended."""
    try:
        client.set_terminated(run_id, status)
    except MlflowException:
        if status == "FINISHED":
            raise
