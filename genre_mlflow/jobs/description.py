"""What a training says of itself: the run's name, configuration, parameters and tags."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.files.home import home
from genre_mlflow.files.words import counted
from genre_mlflow.options import TrainOptions
from genre_mlflow.settings import as_text
from genre_mlflow.tracking.run import DESCRIPTION_TAG, TrackedRun
from genre_mlflow.tracking.sessions import write_config
from genre_mlflow.version import VERSION

REPORTED_VERSIONS = ("mlflow", "torch", "torchvision", "numpy", "pillow", "soundfile", "soxr")
# Tags of a run and a version: groups of copies, and of a table, on two sides.
LEAK_TAG, SHARED_TAG = "leaking_groups", "groups_in_two_splits"


def run_name(options: TrainOptions, corpus: Corpus) -> str:
    """What a run is called: `vgg 64-64-64 with statistics, demo, seed 0`."""
    return f"{options.family}, {corpus.name}, seed {options.training.seed}"


def log_description(run: TrackedRun, options: TrainOptions, corpus: Corpus, device: str) -> None:
    """Log what the run begins with; a second time changes nothing."""
    write_config(run, run_config(options, corpus, device))
    params = {name: as_text(value) for name, value in options.flat().items()}
    run.log_params(params)
    if run.entity.data.params.get("epochs", params["epochs"]) != params["epochs"]:
        run.log_tags({"epochs": params["epochs"]})  # more of them; a parameter cannot change
    task = run.tags.get("task", "train")  # a run of `mlflow run` has none yet
    run.log_tags({"task": task, **start_tags(options, corpus, device)})
    run.log_corpus(corpus, "train, val, test")


def run_config(options: TrainOptions, corpus: Corpus, device: str) -> dict[str, Any]:
    """The resolved configuration, which resuming reads."""
    return {
        "options": options.with_absolute_paths().flat(),
        "dataset": {"name": corpus.name, "digest": corpus.digest},
        "genres": corpus.genres,
        "table": options.family.data_digest(),
        "device": device,
        "home": str(home()),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of what the result depends on."""
    own = {"python": platform.python_version(), "genre-mlflow": VERSION}
    return own | {name: version(name) for name in REPORTED_VERSIONS}


def split_name(options: TrainOptions) -> str:
    """The folder of the split's lists, or that chance has dealt."""
    return Path(options.split.split_dir).name if options.split.split_dir else "random"


def start_tags(options: TrainOptions, corpus: Corpus, device: str) -> dict[str, str]:
    """Tags that tell runs apart in the UI's table, and the run's description."""
    tags = circumstances(corpus, device) | {
        "split": split_name(options),
        DESCRIPTION_TAG: f"{what_is_trained(options, corpus)}, on {device}.{leak(corpus)}",
    }
    bad = {"bad_files": str(len(corpus.bad_files))} if corpus.bad_files else {}
    return tags | bad | leak_tags(corpus)


def circumstances(corpus: Corpus, device: str) -> dict[str, str]:
    """Tags of any run that trains: on what, where, and by which versions."""
    return {
        "corpus": corpus.name,
        "formats": corpus.formats(),
        "device": device,
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }


def leak_tags(corpus: Corpus) -> dict[str, str]:
    """How many groups are on two sides of the split: of copies, and of the table; none without."""
    counts = {
        LEAK_TAG: len(corpus.split.leaks),
        SHARED_TAG: len(corpus.split.shared),
    }
    return {name: str(n) for name, n in counts.items() if n}


def leak(corpus: Corpus) -> str:
    """A sentence about what is on two sides of the split, after another; empty where nothing is."""
    found = corpus.split.leak
    return f" **A leak: {found}; the test says too much.**" if found else ""


def what_is_trained(options: TrainOptions, corpus: Corpus) -> str:
    """Network, corpus and split in a sentence without its end."""
    counts = corpus.counts()
    return (
        f"Network {options.family} on **{corpus.name}**: {len(corpus.genres)} genres; "
        f"{counts['train']} tracks to train on, {counts['val']} to validate, {counts['test']} to "
        f"test ({split_name(options)} split); up to {counted(options.training.epochs, 'epoch')}, "
        f"seed {options.training.seed}"
    )


def version_description(options: TrainOptions, corpus: Corpus, metrics: Mapping[str, float]) -> str:
    """What a registered version says of itself, with its figures and their interval."""
    again = ", then trained again on train and validation together" * options.training.refit
    again += ", then distilled into one network" * options.training.distil
    return (
        f"Test accuracy **{metrics['test_accuracy']:.1%}** (95 % interval "
        f"{metrics['test_accuracy_low']:.1%} to {metrics['test_accuracy_high']:.1%}), macro F1 "
        f"{metrics['test_macro_f1']:.3f}; validation {metrics['best_val_accuracy']:.1%}, best "
        f"epoch {metrics['best_epoch']:.0f}{again}. {what_is_trained(options, corpus)}."
        f"{leak(corpus)}"
    )
