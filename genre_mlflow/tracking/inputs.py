"""The corpus of a run: the manifest as its dataset, and the faults found."""

import json
import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.types import ColSpec, DataType, Schema

from genre_mlflow.corpus.corpus import Corpus, faults
from genre_mlflow.corpus.manifest import COLUMNS
from genre_mlflow.options import to_json


def log_dataset(client: MlflowClient, run_id: str, corpus: Corpus, context: str) -> None:
    """The manifest as the run's dataset."""
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
    client.log_inputs(run_id, [DatasetInput(entity, [tag])])


def log_corpus(client: MlflowClient, run_id: str, corpus: Corpus) -> None:
    """The manifest as a table, and the faults of the corpus."""
    with tempfile.TemporaryDirectory() as folder:
        corpus.manifest.to_csv(Path(folder, "manifest.csv"), index=False)
        Path(folder, "faults.json").write_text(to_json(faults(corpus)), encoding="utf-8")
        client.log_artifacts(run_id, folder, "data")
