"""A whole default training on the device that is there, but for what MLflow does in it.

From the folder of images to the figures of the test set: imports, scan, decoding, the statistics
beside the network, all epochs, answers for train, validation and test with their intervals. Nothing
is tracked, and neither MLflow nor Optuna is imported, so that it runs where they are not installed;
what tracking adds to an epoch is in `bench_epoch.py`. Nothing decoded or hashed before is used.

Where the device computes in bfloat16, both precisions take turns: seconds, and what they reach. The
goal, with tracking, is 20 s on an H200.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from real_data import real_data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    data = real_data()
    seconds: dict[str, float] = {}
    with timed(seconds, "imports"):
        from genre_mlflow.training.device import choose_device, describe_device, keep_freed_memory
        from genre_mlflow.training.precision import has_bfloat16
    keep_freed_memory()
    device = choose_device(args.device)
    precisions = ["float32", *["bfloat16"] * has_bfloat16(device)]
    given = {name: value for name, value in vars(args).items() if value and name != "rounds"}
    print(f"on {describe_device(device)}, imports once: {seconds['imports']:.1f} s\n")
    print("| precision | seed | scan | decoding | statistics | first epoch | the others, median "
          "| epochs | answers | whole | val accuracy | test accuracy |")  # fmt: skip
    print("|" + "---|" * 12)
    whole: dict[str, list[float]] = {precision: [] for precision in precisions}
    for seed in range(args.rounds):
        for precision in precisions:
            row, accuracies = one(data, given | {"seed": seed, "precision": precision}, device)
            whole[precision].append(sum(row.values()) - row["the others, median"]
                                    - row["first epoch"] + seconds["imports"])  # fmt: skip
            numbers = " | ".join(f"{value:.2f}" for value in row.values())
            found = " | ".join(f"{value:.1%}" for value in accuracies)
            print(f"| {precision} | {seed} | {numbers} | {whole[precision][-1]:.1f} | {found} |")
    for precision, values in whole.items():
        print(f"\n{precision}: {statistics.median(values):.1f} s in the median, with the imports")
    assert not {"mlflow", "optuna"} & sys.modules.keys(), "this is to run without them"


def one(data: Path, given: dict[str, Any], device: Any) -> tuple[dict[str, float], list[float]]:
    """Seconds of a training by its parts; accuracy on validation and test."""
    from genre_mlflow.corpus.corpus import open_corpus
    from genre_mlflow.evaluation.intervals import measures_with_intervals
    from genre_mlflow.evaluation.predictions import predict_tracks
    from genre_mlflow.jobs.fitting import fit_classifier, new_classifier
    from genre_mlflow.jobs.tracks import open_tracks
    from genre_mlflow.options import TrainOptions
    from genre_mlflow.training.checkpoint import CheckpointFolder
    from genre_mlflow.training.observer import Observer

    seconds: dict[str, float] = {}
    lists = {"split_dir": str(data / "splits/gtzan-filtered"), "on_missing": "skip"}
    options = TrainOptions.from_flat({**given, **lists, "data": str(data / "gtzan-mel")})
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GENRE_HOME"] = folder
        with timed(seconds, "scan"):
            corpus = open_corpus(options.corpus, options.split)
        with timed(seconds, "decoding"):
            tracks = open_tracks(corpus, options, ("train", "val", "test"))
        classifier = new_classifier(options, corpus.genres)
        checkpoints = CheckpointFolder(Path(folder) / "checkpoints")
        started = time.perf_counter()
        fitted = fit_classifier(classifier, tracks, options, Observer(), checkpoints, device)
        fitting = time.perf_counter() - started
        epochs = [result.seconds for result in fitted.history]
        seconds["statistics"] = fitting - sum(epochs)  # and what is written after each epoch
        seconds["first epoch"] = epochs[0]
        seconds["the others, median"] = statistics.median(epochs[1:] or epochs)
        seconds["epochs"] = sum(epochs)
        classifier.network.load_state_dict(fitted.best_weights)
        with timed(seconds, "answers"):
            tables = {n: predict_tracks(classifier, corpus.rows(n), tracks[n]) for n in tracks}
            test = measures_with_intervals(tables["test"])
    right = tables["val"]["genre"] == tables["val"]["predicted"]
    return seconds, [float(right.mean()), test["accuracy"]]


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started


if __name__ == "__main__":
    main()
