"""What a training run says of itself before its first epoch: configuration, parameters, tags."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.files.home import home
from genre_mlflow.options import TrainOptions, as_text
from genre_mlflow.tracking.inputs import log_corpus, log_dataset
from genre_mlflow.tracking.run import log_params, log_tags
from genre_mlflow.tracking.sessions import write_config
from genre_mlflow.version import VERSION

DESCRIPTION_TAG = "mlflow.note.content"
REPORTED_VERSIONS = ("mlflow", "torch", "torchvision", "numpy", "pillow", "soundfile", "soxr")


def log_start(
    client: MlflowClient, run: Run, options: TrainOptions, corpus: Corpus, device: str
) -> None:
    """Log what the run begins with; a second time changes nothing."""
    run_id = run.info.run_id
    write_config(client, run_id, run_config(options, corpus, device))
    log_params(client, run, {name: as_text(value) for name, value in options.flat().items()})
    task = run.data.tags.get("task", "train")  # a run of `mlflow run` has none yet
    log_tags(client, run_id, {"task": task, **start_tags(options, corpus, device)})
    log_dataset(client, run_id, corpus, "train, val, test")
    log_corpus(client, run_id, corpus)


def run_config(options: TrainOptions, corpus: Corpus, device: str) -> dict[str, Any]:
    """The resolved configuration, which resuming reads."""
    return {
        "options": options.with_absolute_paths().flat(),
        "dataset": {"name": corpus.name, "digest": corpus.digest},
        "genres": corpus.genres,
        "device": device,
        "home": str(home()),
        "versions": versions(),
    }


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
