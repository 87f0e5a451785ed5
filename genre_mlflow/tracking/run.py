"""A run in MLflow, with its experiment and its client: all that is written goes through it."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Self

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    Run,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags
from mlflow.types import ColSpec, DataType, Schema
from PIL import Image

from genre_mlflow import signals
from genre_mlflow.corpus.corpus import Corpus, faults
from genre_mlflow.corpus.manifest import COLUMNS
from genre_mlflow.errors import ModelError
from genre_mlflow.tracking import commands
from genre_mlflow.tracking.artifacts import delete_files, read_file
from genre_mlflow.tracking.experiments import EXPERIMENT_TAGS
from genre_mlflow.tracking.monitor import monitored
from genre_mlflow.tracking.run_models import ModelsOfRun
from genre_mlflow.tracking.store import NOT_THERE, impatient

PARAMS_PER_BATCH = 100  # MLflow's limit
DESCRIPTION_TAG = "mlflow.note.content"
RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"
DELETED = "deleted"  # stage in the life of a run or an experiment


class TrackedRun(ModelsOfRun):
    """A run of MLflow's store; `entity` is what the store said of it when it was found.

    Metrics are linked to the corpus of `log_corpus`, once that has been called.
    """

    def __init__(self, client: MlflowClient, entity: Run) -> None:
        super().__init__(client, entity)
        self.entity = entity
        self.dataset: tuple[str, str] | None = None  # name and digest
        self.waits = False  # whether the store is gone, and its results wait on this disk

    @classmethod
    def find(cls, run_id: str) -> Self:
        """The run of this id. Raises `ModelError` where there is none."""
        client = MlflowClient()
        try:
            return cls(client, client.get_run(run_id))
        except MlflowException as error:
            if error.error_code not in NOT_THERE:
                raise
            raise ModelError(
                f"there is no run {run_id!r} in this store; set MLFLOW_TRACKING_URI to another"
            ) from error

    @classmethod
    def create(cls, experiment_id: str, name: str, tags: Mapping[str, str]) -> Self:
        """Open a run with the tags that MLflow's own `start_run` gives: user, source, commit."""
        client = MlflowClient()
        return cls(
            client, client.create_run(experiment_id, run_name=name, tags=resolve_tags(dict(tags)))
        )

    @classmethod
    def search(cls, experiment_id: str, words: str) -> list[Self]:
        """All runs of an experiment that fit a filter in MLflow's words."""
        client = MlflowClient()
        runs: list[Self] = []
        token = None
        while True:
            page = client.search_runs([experiment_id], words, page_token=token)
            runs += [cls(client, entity) for entity in page]
            token = page.token
            if not token:
                return runs

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return self.entity.info.run_name or ""

    @property
    def status(self) -> str:
        """Its state when it was found."""
        return str(self.entity.info.status)

    @property
    def is_deleted(self) -> bool:
        """Whether somebody had deleted it when it was found; it can be restored."""
        return str(self.entity.info.lifecycle_stage) == DELETED

    def restore_command(self) -> str:
        """How to bring it back, or its experiment; empty where it is not deleted."""
        if not self.is_deleted:
            return ""
        experiment = self.client.get_experiment(self.experiment_id)
        if experiment.lifecycle_stage == DELETED:
            return commands.mlflow_cli(f"experiments restore --experiment-id {self.experiment_id}")
        return commands.mlflow_cli(f"runs restore --run-id {self.id}")

    @property
    def tags(self) -> dict[str, str]:
        """Its tags when it was found."""
        return dict(self.entity.data.tags)

    @property
    def metrics(self) -> dict[str, float]:
        """The last values of its metrics when it was found."""
        return dict(self.entity.data.metrics)

    def log_params(self, params: Mapping[str, str]) -> None:
        """Log parameters, but leave alone those that it has: MLflow refuses a second value."""
        known = self.entity.data.params
        new = [Param(key, value) for key, value in params.items() if key not in known]
        for start in range(0, len(new), PARAMS_PER_BATCH):
            self.client.log_batch(self.id, params=new[start : start + PARAMS_PER_BATCH])

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags in one call."""
        self.client.log_batch(self.id, tags=[RunTag(key, value) for key, value in tags.items()])

    def remove_tag(self, name: str) -> None:
        """Take a tag away, if it is there."""
        with suppress(MlflowException):
            self.client.delete_tag(self.id, name)

    def log_metrics(
        self, values: Mapping[str, float], step: int, timestamp_ms: int, model_id: str | None = None
    ) -> None:
        """Log metrics in one call, linked to the model and the corpus they were measured on."""
        name, digest = self.dataset or (None, None)
        metrics = [
            Metric(key, value, timestamp_ms, step, model_id, name, digest, self.id)
            for key, value in values.items()
        ]
        self.client.log_batch(self.id, metrics=metrics)

    def log_corpus(self, corpus: Corpus, context: str) -> None:
        """The manifest as the run's dataset and as a table, and the faults that were found."""
        columns = Schema([ColSpec(DataType.string, name) for name in COLUMNS])
        entity = Dataset(
            name=corpus.name,
            digest=corpus.digest,
            source_type="local",
            source=json.dumps({"uri": str(corpus.folder)}),
            schema=json.dumps({"mlflow_colspec": columns.to_dict()}),
            profile=json.dumps({"num_rows": len(corpus.manifest), **corpus.counts()}),
        )
        tag = InputTag("mlflow.data.context", context)
        self.client.log_inputs(self.id, [DatasetInput(entity, [tag])])
        with self.folder("data") as folder:
            corpus.manifest.to_csv(folder / "manifest.csv", index=False)
            (folder / "faults.json").write_text(to_json(faults(corpus)), encoding="utf-8")
        self.dataset = (corpus.name, corpus.digest)

    @contextmanager
    def folder(self, path: str | None = None) -> Iterator[Path]:
        """A folder to write into, logged as artifacts below `path` when the block has ended."""
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
            self.client.log_artifacts(self.id, name, path)

    def log_text(self, text: str, path: str) -> None:
        """A file of text as an artifact."""
        self.client.log_text(self.id, text, path)

    def artifacts(self, path: str | None = None) -> list[str]:
        """Paths of the artifacts in one folder."""
        return [entry.path for entry in self.client.list_artifacts(self.id, path)]

    def files(self, path: str) -> list[str]:
        """Paths of all files below one folder of the artifacts; none where it is not there."""
        entries = self.client.list_artifacts(self.id, path)
        below = [self.files(entry.path) if entry.is_dir else [entry.path] for entry in entries]
        return sorted(name for names in below for name in names)

    def fetch(self, path: str, folder: Path) -> Path:
        """Download one artifact into `folder`. Raises `ModelError` where there is none."""
        return read_file(f"run {self.id} ({self.name})", self.place, path, folder)

    @property
    def place(self) -> str:
        """The address of its artifacts."""
        return str(self.entity.info.artifact_uri)

    def read_artifact(self, path: str, folder: Path) -> Path | None:
        """Download one artifact into `folder`; None where there is none of that name."""
        if path not in self.artifacts(path.rpartition("/")[0] or None):
            return None
        return Path(self.client.download_artifacts(self.id, path, str(folder)))

    def delete_artifact(self, path: str) -> None:
        """Delete one artifact."""
        delete_files(self.place, path)

    def log_json(self, values: Mapping[str, Any], path: str) -> None:
        """A JSON file as an artifact."""
        self.client.log_dict(self.id, dict(values), path)

    def log_image(self, image: Image.Image, key: str, step: int, timestamp_ms: int) -> None:
        """An image with a step, which the UI shows as a series."""
        self.client.log_image(self.id, image, key=key, step=step, timestamp=timestamp_ms)

    @contextmanager
    def running(self, *, owned: bool = True, watched: bool = True) -> Iterator[None]:
        """Keep its status and its system metrics while the block runs.

        A run that is not `owned` was opened by `mlflow run`, which writes its status itself; one
        that is not `watched` is nested in a run that is. One whose results wait is FAILED, if that
        can be written at all, until they are sent.
        """
        status, in_haste = FAILED, False
        try:
            with monitored(self.id, lambda: self.waits) if watched else nullcontext():
                if owned:
                    self.client.update_run(self.id, status=RUNNING)
                yield
            status, in_haste = (FAILED, True) if self.waits else (FINISHED, False)
        except KeyboardInterrupt:
            status, in_haste = KILLED, True
            raise
        except MlflowException:  # the store may be gone
            in_haste = True
            raise
        finally:
            if owned:
                self.end(status, in_haste=in_haste)

    def mark_experiment(self) -> None:
        """Give its experiment the tags of ours, where it lacks them."""
        known = self.client.get_experiment(self.experiment_id).tags
        for key, value in EXPERIMENT_TAGS.items():
            if key not in known:
                self.client.set_experiment_tag(self.experiment_id, key, value)

    def rename(self, name: str) -> None:
        """Give it another name."""
        self.client.update_run(self.id, name=name)
        self.entity = self.client.get_run(self.id)

    def reopen(self, name: str | None = None) -> None:
        """Let it run again, under another name if one is given."""
        self.client.update_run(self.id, status=RUNNING, name=name)

    def end(self, status: str, *, in_haste: bool = False) -> None:
        """Write its last status; a store that is gone must not hide why the run ended."""
        with signals.undisturbed(), ExitStack() as stack:
            if status != FINISHED:
                stack.enter_context(suppress(MlflowException))
            if in_haste:
                stack.enter_context(impatient())
            self.terminate(status)

    def terminate(self, status: str, end_time_ms: int | None = None) -> None:
        """Write its last status, and when it ended if that was not now."""
        self.client.set_terminated(self.id, status, end_time=end_time_ms)


def to_json(values: Mapping[str, Any]) -> str:
    """Readable JSON with sorted keys."""
    return json.dumps(values, indent=2, sort_keys=True) + "\n"
