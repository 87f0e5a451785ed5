"""What each ingredient of the default recipe is worth, on artist-grouped folds of GTZAN.

Every recipe is trained on each fold of train and validation together, for each seed, and says
something of the tracks that it has not seen; the weights of the last epoch count, so that nothing
is chosen by what is measured. The test set is not opened. The table gives the mean accuracy over
seeds with its t interval, and the differences to the default and to the statistics baseline with an
interval over artists; then the same of what learns in epochs alone, without the statistics that
answer beside it. Each recipe and seed is a run in the MLflow experiment, with its predictions; the
same command goes on where it was stopped.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from real_data import real_data

from genre_mlflow.baselines.fitting import fit_baseline, fit_fixed_part
from genre_mlflow.corpus.corpus import open_corpus
from genre_mlflow.corpus.folds import folds
from genre_mlflow.data.cache import PixelCache, open_cache
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation.metrics import accuracy
from genre_mlflow.evaluation.predictions import (
    predict_tracks,
    read_predictions,
    write_predictions,
)
from genre_mlflow.evaluation.statistics import Interval, accuracy_difference, mean_interval
from genre_mlflow.files.home import home
from genre_mlflow.jobs.fitting import distil, new_classifier
from genre_mlflow.model.layers import Fused
from genre_mlflow.model.pretrained.features import remembering
from genre_mlflow.options import TrainOptions
from genre_mlflow.settings import as_text
from genre_mlflow.tracking.experiments import experiment_id
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.store import open_store
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import choose_device, keep_freed_memory
from genre_mlflow.training.loop import fit
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.recipes import PLAIN
from genre_mlflow.training.recipes import RECIPES as RECIPES_BY_NAME

DEFAULT, BASELINE = RIVALS = ("default", "statistics baseline")
ALL, ALONE = "all", "alone"  # the whole network, and what of it learns in epochs
COLUMNS = (
    "accuracy", *(f"less the {rival}" for rival in RIVALS),
    "what learns alone", f"less that of the {DEFAULT}",
)  # fmt: skip
PLAINLY = RECIPES_BY_NAME[PLAIN]
RECIPES: dict[str, dict[str, Any]] = {
    BASELINE: {"network": "statistics"},
    DEFAULT: {},
    "pixels instead of textures": {"stem": "pixels", "widths": (16, 32, 64, 128)},
    "mean over time alone": {"pooling": "mean"},
    "whole tracks instead of crops": {"crop": 1.0},
    "no mixing": {"mixup": 0.0},
    "no label smoothing": {"label_smoothing": 0.0},
    "last weights instead of their average": {"ema_decay": 0.0},
    "no weight decay": {"weight_decay": 0.0},
    "a hidden layer of 256": {"head_width": 256},
    "twice the epochs": {"epochs": 80},
    "half the epochs": {"epochs": 20},
    "five networks": {"ensemble": 5},
    "five networks and 60 epochs": {"ensemble": 5, "epochs": 60},
    "five networks distilled into one": {"ensemble": 5, "distil": True},
    "plain": PLAINLY,
    "plain with statistics": PLAINLY | {"statistics_share": 0.67},
    "plain with textures": PLAINLY | {"stem": "textures", "widths": (64, 64, 64)},
    "plain with deviation over time": PLAINLY | {"pooling": "mean-deviation"},
    "plain with crops": PLAINLY | {"crop": 0.5},
    "plain with mixing": PLAINLY | {"mixup": 0.3},
    "plain with averaged weights": PLAINLY | {"ema_decay": 0.99},
    "wide statistics baseline": {"network": "statistics", "kinds": "wide"},
}
# The other road, for a table of its own: features of networks that others have trained.
PRETRAINED: dict[str, dict[str, Any]] = {
    name: {"network": name} for name in ("efficientnet_lite0", "musicnn", "pretrained")
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    others = f"separated by commas; also {', '.join(PRETRAINED)}"
    parser.add_argument("--recipes", default=",".join(RECIPES), help=others)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="of all recipes, instead of their own")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--experiment", default="ablation")
    args = parser.parse_args()
    data = real_data()
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    open_store()
    options = TrainOptions.from_flat(
        {
            "data": str(data / "gtzan-mel"), "split_dir": str(data / "splits/gtzan-filtered"),
            "groups": str(data / "groups/gtzan-groups.csv"), "on_missing": "skip",
            "image_size": args.image_size,
        }
    )  # fmt: skip
    corpus = open_corpus(options.corpus, options.split)
    cache = open_cache(corpus.manifest, options.preprocessing, home() / "cache")
    parts = folds(corpus.split.grouped, args.folds)
    print(f"{args.folds} folds of {len(parts[0])} tracks, {args.seeds} seeds\n")
    print(f"| recipe | {' | '.join(COLUMNS)} |\n|{'---|' * (1 + len(COLUMNS))}")
    tables: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for name in [recipe.strip() for recipe in args.recipes.split(",")]:
        changes = (RECIPES | PRETRAINED)[name] | ({"epochs": args.epochs} if args.epochs else {})
        recipe = options.changed(**changes)
        seeds = 1 if recipe.family.is_fitted else args.seeds
        for seed in range(seeds):
            seeded = recipe.changed(seed=seed)
            found = tracked(name, seeded, corpus.genres, parts, cache, args.experiment)
            for who, table in found.items():
                tables.setdefault((name, who), []).append(table)
        print(row(name, tables), flush=True)


def tracked(
    name: str,
    options: TrainOptions,
    genres: Sequence[str],
    parts: Sequence[pd.DataFrame],
    cache: PixelCache,
    experiment: str,
) -> dict[str, pd.DataFrame]:
    """Predictions for every track by a network that has not seen it, and a run that tells so.

    A run of the same options and folds that has ended is read instead.
    """
    flat = {key: as_text(value) for key, value in options.flat().items()}
    about = repr((flat, [part.drop(columns="path").to_csv() for part in parts]))
    key = hashlib.sha256(about.encode()).hexdigest()[:16]
    where = experiment_id(experiment)
    for run in TrackedRun.search(where, f"tags.key = '{key}' AND attributes.status = 'FINISHED'"):
        return logged(run)
    title = f"{name}, seed {options.training.seed}"
    run = TrackedRun.create(where, title, {"recipe": name, "key": key})
    with run.running():
        run.log_params(flat)
        by_part = [unseen(options, genres, part, cache) for part in parts]
        found = {
            who: pd.concat([tables[who] for tables in by_part], ignore_index=True)
            for who in by_part[0]
        }
        accuracies = {f"fold_accuracy_{who}": accuracy(table) for who, table in found.items()}
        run.log_metrics(accuracies, 1, int(time.time() * 1000))
        with run.folder() as folder:
            for who, table in found.items():
                write_predictions(table, folder / f"predictions_{who}.csv")
    return found


def logged(run: TrackedRun) -> dict[str, pd.DataFrame]:
    """The predictions of a run, by who made them."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for who in (ALL, ALONE):
            path = run.read_artifact(f"predictions_{who}.csv", Path(folder))
            if path:
                found[who] = read_predictions(path)
    return found


def unseen(
    options: TrainOptions, genres: Sequence[str], part: pd.DataFrame, cache: PixelCache
) -> dict[str, pd.DataFrame]:
    """Train on one side of a fold; predictions for the other, by all and by what learns alone."""
    sides = {side: part[part["split"] == side] for side in ("train", "val")}
    tracks = {side: TrackDataset(rows, genres, cache) for side, rows in sides.items()}
    classifier = new_classifier(options, genres)
    if options.family.is_fitted:
        options.family.start(classifier.network)
        with remembering(classifier.network, home() / "cache"):
            fit_baseline(classifier, tracks["train"])
            return {ALL: predict_tracks(classifier, sides["val"], tracks["val"])}
    fit_fixed_part(classifier.network, tracks["train"])
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = CheckpointFolder(Path(folder))
        fitted = fit(
            classifier, tracks, options.training, Observer(),
            checkpoints=checkpoints, device=choose_device("auto"),
            augmentation=options.augmentation,
        )  # fmt: skip
        weights = checkpoints.load_weights(len(fitted.history))
        classifier.network.load_state_dict(weights)
        if options.training.distil:
            own = CheckpointFolder(Path(folder, "distilled"))
            classifier = distil(classifier, options, tracks, own, choose_device("auto"))
    classifier.network.cpu()
    found = {ALL: predict_tracks(classifier, sides["val"], tracks["val"])}
    if isinstance(classifier.network, Fused):
        classifier.network = classifier.network.learnt
    return found | {ALONE: predict_tracks(classifier, sides["val"], tracks["val"])}


def row(name: str, tables: Mapping[tuple[str, str], Sequence[pd.DataFrame]]) -> str:
    """A line of the table."""
    cells = [
        mean_cell(tables.get((name, ALL))),
        *(apart_cell(name, other, ALL, tables) for other in RIVALS),
        mean_cell(tables.get((name, ALONE))),
        apart_cell(name, DEFAULT, ALONE, tables),
    ]
    return f"| {name} | {' | '.join(cells)} |"


def mean_cell(tables: Sequence[pd.DataFrame] | None) -> str:
    """Accuracy, with an interval over seeds where there are several."""
    accuracies = [accuracy(table) for table in tables or []]
    if len(accuracies) > 1:
        return as_percent(mean_interval(accuracies))
    return f"{100 * accuracies[0]:.1f} %" if accuracies else ""


def apart_cell(
    name: str, other: str, who: str, tables: Mapping[tuple[str, str], Sequence[pd.DataFrame]]
) -> str:
    """The difference of two recipes, with an interval over artists; nothing if one is not there."""
    one, two = tables.get((name, who)), tables.get((other, who))
    if name == other or one is None or two is None:
        return ""
    return as_percent(accuracy_difference(one, two, by_group=True), sign="+")


def as_percent(interval: Interval, sign: str = "") -> str:
    low, high = (f"{100 * end:{sign}.1f}" for end in (interval.low, interval.high))
    return f"{100 * interval.mean:{sign}.1f} % ({low} to {high})"


if __name__ == "__main__":
    main()
