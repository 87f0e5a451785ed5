"""What a run logs before its first epoch and after its last."""

import json
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Run
from mlflow.types import ColSpec, DataType, Schema

from genre_mlflow.corpus.manifest import (
    COLUMNS,
    SPLITS,
    BadFile,
    conflicting_groups,
    copied_groups,
    digest,
)
from genre_mlflow.corpus.splits import SplitResult
from genre_mlflow.evaluation import figures, metrics
from genre_mlflow.evaluation.predictions import genres_of, part, worst_mistakes
from genre_mlflow.files import home
from genre_mlflow.mlops.card import model_card
from genre_mlflow.mlops.options import TrainOptions, as_text, to_json
from genre_mlflow.mlops.registry import PREDICTIONS_FILE
from genre_mlflow.mlops.tracking import DatasetName, log_params, log_tags
from genre_mlflow.training.history import EpochResult, best_epoch
from genre_mlflow.version import VERSION

CONFIG_ARTIFACT = "config.json"
DESCRIPTION_TAG = "mlflow.note.content"
N_MISTAKES = 12
REPORTED_VERSIONS = ("mlflow", "torch", "torchvision", "numpy", "pillow")


@dataclass(frozen=True)
class Corpus:
    """A scanned and split folder of music."""

    name: str
    folder: Path
    split: SplitResult
    bad_files: list[BadFile]

    @property
    def manifest(self) -> pd.DataFrame:
        """One row a track; every `split` is filled in."""
        return self.split.manifest

    @property
    def genres(self) -> list[str]:
        """Genre names in the order of the network's outputs."""
        return sorted(self.manifest["genre"].unique())

    @property
    def dataset(self) -> DatasetName:
        """How MLflow knows it."""
        return DatasetName(self.name, digest(self.manifest))

    @property
    def test_digest(self) -> str:
        """Names the test tracks and their genres; two models with the same can be compared."""
        return digest(part(self.manifest, "test"))

    def counts(self) -> dict[str, int]:
        """Tracks in train, val and test."""
        return {s: len(part(self.manifest, s)) for s in ("train", "val", "test")}


def log_start(
    client: MlflowClient, run: Run, options: TrainOptions, corpus: Corpus, device: str
) -> None:
    """Log configuration, parameters, tags and data; a second time changes nothing."""
    run_id = run.info.run_id
    config = {
        "options": options.with_absolute_paths().flat(),
        "dataset": {"name": corpus.name, "digest": corpus.dataset.digest},
        "genres": corpus.genres,
        "device": device,
        "home": str(home()),
        "versions": versions(),
    }
    client.log_text(run_id, to_json(config), CONFIG_ARTIFACT)
    log_params(client, run, {name: as_text(value) for name, value in options.flat().items()})
    log_tags(client, run_id, start_tags(options, corpus, device))
    log_dataset(client, run_id, corpus)
    with tempfile.TemporaryDirectory() as folder:
        corpus.manifest.to_csv(Path(folder, "manifest.csv"), index=False)
        Path(folder, "faults.json").write_text(to_json(faults(corpus)), encoding="utf-8")
        client.log_artifacts(run_id, folder, "data")


def versions() -> dict[str, str]:
    """Versions of what the result depends on."""
    own = {"python": platform.python_version(), "genre-mlflow": VERSION}
    return own | {name: version(name) for name in REPORTED_VERSIONS}


def start_tags(options: TrainOptions, corpus: Corpus, device: str) -> dict[str, str]:
    """Tags that tell runs apart in the UI's table, and the run's description."""
    counts = corpus.counts()
    split = Path(options.split.split_dir).name if options.split.split_dir else "random"
    description = (
        f"VGG-style network ({as_text(options.network.widths)}) on **{corpus.name}**: "
        f"{len(corpus.genres)} genres; {counts['train']} tracks to train on, {counts['val']} to "
        f"validate, {counts['test']} to test ({split} split); up to {options.training.epochs} "
        f"epochs, seed {options.training.seed}, on {device}."
    )
    tags = {
        "corpus": corpus.name,
        "split": split,
        "device": device,
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
        DESCRIPTION_TAG: description,
    }
    counted = {"bad_files": len(corpus.bad_files), "leaking_groups": len(corpus.split.leaks)}
    return tags | {name: str(n) for name, n in counted.items() if n}


def faults(corpus: Corpus) -> dict[str, Sequence[object]]:
    """What was found wrong with the corpus, and what was done without."""
    return {
        "bad_files": [{"path": str(f.path), "reason": f.reason} for f in corpus.bad_files],
        "copies": copied_groups(corpus.manifest),
        "copies_with_different_genres": conflicting_groups(corpus.manifest),
        "copies_in_two_splits": corpus.split.leaks,
        "listed_but_missing": corpus.split.missing,
        "in_the_folder_but_not_listed": corpus.split.excluded,
    }


def log_dataset(client: MlflowClient, run_id: str, corpus: Corpus) -> None:
    """The manifest as the run's dataset."""
    columns = Schema([ColSpec(DataType.string, name) for name in COLUMNS])
    entity = Dataset(
        name=corpus.name,
        digest=corpus.dataset.digest,
        source_type="local",
        source=json.dumps({"uri": str(corpus.folder)}),
        schema=json.dumps({"mlflow_colspec": columns.to_dict()}),
        profile=json.dumps({"num_rows": len(corpus.manifest), **corpus.counts()}),
    )
    context = InputTag("mlflow.data.context", "train, val, test")
    client.log_inputs(run_id, [DatasetInput(entity, [context])])


def log_results(
    client: MlflowClient,
    run: Run,
    options: TrainOptions,
    corpus: Corpus,
    history: Sequence[EpochResult],
    predictions: pd.DataFrame,
) -> None:
    """Log tables, figures and the model card of a trained classifier."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder, history, predictions)
        write_figures(folder / "figures", corpus, history, predictions)
        card = model_card(options, corpus.name, corpus.counts(), predictions)
        (folder / "model_card.md").write_text(card, encoding="utf-8")
        client.log_artifacts(run.info.run_id, name)


def write_tables(folder: Path, history: Sequence[EpochResult], predictions: pd.DataFrame) -> None:
    """Predictions, per-genre report of the test set and the history, as CSV."""
    tables = {
        PREDICTIONS_FILE: predictions.round(6),
        "tables/test_report.csv": metrics.genre_report(part(predictions, "test")).round(4),
        "tables/history.csv": curves(history),
    }
    for name, table in tables.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False)


def curves(history: Sequence[EpochResult]) -> pd.DataFrame:
    """Loss, accuracy and learning rate by epoch."""
    rows = [
        (r.epoch, r.train.loss, r.val.loss, r.train.accuracy, r.val.accuracy, r.lr) for r in history
    ]
    columns = ["epoch", "train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr"]
    return pd.DataFrame(rows, columns=columns)


def write_figures(
    folder: Path, corpus: Corpus, history: Sequence[EpochResult], predictions: pd.DataFrame
) -> None:
    """Learning curves, test confusion matrix (counts and rates), most confident mistakes."""
    test = part(predictions, "test")
    best = best_epoch(list(history)).epoch
    figures.save_figure(
        figures.learning_curves(curves(history), best), folder / "learning_curves.png"
    )
    write_confusion(folder, test)
    mistakes = worst_mistakes(test, N_MISTAKES)
    paths = corpus.manifest.set_index("track_id")["path"].loc[mistakes["track_id"]]
    figures.save_figure(figures.mistakes_figure(mistakes, list(paths)), folder / "mistakes.png")


def write_confusion(folder: Path, test: pd.DataFrame) -> None:
    """Two figures of one matrix."""
    matrix, genres = metrics.confusion(test), genres_of(test)
    for name, rates in (("counts", False), ("rates", True)):
        figure = figures.confusion_figure(matrix, genres, "Test set", rates=rates)
        figures.save_figure(figure, folder / f"test_confusion_{name}.png")


def final_metrics(predictions: pd.DataFrame, best: EpochResult) -> dict[str, float]:
    """Train, validation and test results of the best epoch's weights, without dropout."""
    values: dict[str, float] = {"best_epoch": best.epoch}
    for split, prefix in (("train", "best_train"), ("val", "best_val"), ("test", "test")):
        table = part(predictions, split)
        values[f"{prefix}_accuracy"] = metrics.accuracy(table)
        values[f"{prefix}_macro_f1"] = metrics.macro_f1(table)
        values[f"{prefix}_loss"] = metrics.log_loss(table)
    low, high = metrics.accuracy_interval(part(predictions, "test"))
    return values | {"test_accuracy_low": low, "test_accuracy_high": high}


def log_final_metrics(
    client: MlflowClient,
    run_id: str,
    values: dict[str, float],
    best: EpochResult,
    model_id: str,
    dataset: DatasetName,
) -> None:
    """One call, at the best epoch's step and time, linked to the model and the dataset."""
    client.log_batch(
        run_id,
        metrics=[
            Metric(
                key, value, best.finished_ms, best.epoch, model_id,
                dataset.name, dataset.digest, run_id,
            )
            for key, value in values.items()
        ],
    )  # fmt: skip


def overview(corpus: Corpus) -> str:
    """Tracks by genre and split, and the faults found, for a terminal."""
    table = pd.crosstab(corpus.manifest["genre"], corpus.manifest["split"])[list(SPLITS)]
    table.loc["all"] = table.sum()
    lines = [table.to_string()]
    for name, found in faults(corpus).items():
        if found:
            lines.append(f"{name.replace('_', ' ')}: {len(found)}")
            lines += [f"  {fault_text(item)}" for item in found]
    return "\n".join(lines)


def fault_text(fault: object) -> str:
    """One fault in one line."""
    if isinstance(fault, dict):
        return f"{fault['path']} {fault['reason']}"
    return " = ".join(fault) if isinstance(fault, list) else str(fault)
