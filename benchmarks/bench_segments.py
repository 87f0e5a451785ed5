"""Several segments a track against a single centre crop, on the real images of the filtered split.

Each spectrogram (30 s) is cut in time into pieces of a third (10 s), as a long recording would be.
One network a seed learns from a random piece of every track an epoch; its answers for the pieces
become one by mean, vote or maximum, beside its answer for the piece in the centre alone. The best
epoch is the one with the least validation loss; accuracy is per track.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from PIL import Image
from real_data import real_data
from torch import Tensor

from genre_mlflow.corpus.scan import scan
from genre_mlflow.corpus.settings import SplitSettings
from genre_mlflow.corpus.splits import split
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.evaluation.statistics import wilson_interval
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.model.aggregation import aggregate
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.model.settings import AGGREGATIONS
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import choose_device, keep_freed_memory
from genre_mlflow.training.loop import fit
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.settings import SEGMENTS, TrainingSettings

PIECES = 3
CENTRE = "centre crop alone"


class Pieces:
    """What `TrackDataset` needs of a cache: pixels, and the span of each file in them."""

    def __init__(self, manifest: pd.DataFrame, image_size: int) -> None:
        preprocessor = Preprocessor(PreprocessingSettings(image_size=image_size))
        tensors = []
        for path in manifest["path"]:
            with Image.open(path) as image:
                width, height = image.size
                for piece in range(PIECES):
                    box = (width * piece // PIECES, 0, width * (piece + 1) // PIECES, height)
                    tensors.append(preprocessor.prepare(image.crop(box)))
        self.pixels = torch.cat(tensors).numpy()
        self.span = {sha: (PIECES * i, PIECES) for i, sha in enumerate(manifest["sha256"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--image-size", type=int, default=PreprocessingSettings().image_size)
    parser.add_argument("--segments", choices=SEGMENTS, default="random")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    data = real_data()
    lists = SplitSettings(split_dir=str(data / "splits/gtzan-filtered"), on_missing="skip")
    manifest = split(scan(data / "gtzan-mel").manifest, lists).manifest
    genres = sorted(manifest["genre"].unique())
    cache = Pieces(manifest, args.image_size)
    parts = {name: manifest[manifest["split"] == name] for name in ("train", "val", "test")}
    tracks = {name: TrackDataset(rows, genres, cache) for name, rows in parts.items()}
    keep_freed_memory()
    print(
        f"{PIECES} pieces of {len(manifest)} images, {args.image_size} pixels, {args.epochs} epochs"
        f" of {args.segments} pieces, seeds {args.seeds}\n"
    )
    results = [run(tracks, genres, seed, args) for seed in args.seeds]
    n_test = len(parts["test"])
    print(
        f"\n| answer for a track | val accuracy | test accuracy ({n_test} tracks) | 95 % of one |"
    )
    print("|---|---|---|---|")
    for way in (CENTRE, *AGGREGATIONS):
        val, test = (statistics.mean(r[name, way] for r in results) for name in ("val", "test"))
        found = wilson_interval(round(test * n_test), n_test)
        print(f"| {way} | {val:.1%} | {test:.1%} | {found.low:.1%} to {found.high:.1%} |")


def run(
    tracks: dict[str, TrackDataset], genres: list[str], seed: int, args: argparse.Namespace
) -> dict[tuple[str, str], float]:
    """Accuracy by split and way to answer, of the weights of the best epoch."""
    torch.manual_seed(seed)
    pixels = PreprocessingSettings(image_size=args.image_size)
    classifier = Classifier(genres, VGG(statistics_share=0.0), pixels)
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(
            classifier, tracks,
            TrainingSettings(epochs=args.epochs, seed=seed, segments=args.segments), Observer(),
            checkpoints=CheckpointFolder(Path(folder)), device=choose_device(args.device),
        )  # fmt: skip
    classifier.network.load_state_dict(fitted.best_weights)
    found = {}
    for name in ("val", "test"):
        parts = answers(classifier, tracks[name])
        owners, labels = tracks[name].owners, tracks[name].labels[::PIECES]
        for aggregation in AGGREGATIONS:
            whole = aggregate(parts, owners, aggregation)
            found[name, aggregation] = accuracy(whole, labels)
        found[name, CENTRE] = accuracy(parts[PIECES // 2 :: PIECES], labels)
    line = ", ".join(f"{' '.join(key)} {value:.1%}" for key, value in found.items())
    print(f"seed {seed}: {line}", flush=True)
    return found


def answers(classifier: Classifier, tracks: TrackDataset) -> Tensor:
    """Probabilities of every piece, `[pieces, genres]`."""
    return torch.cat([classifier.probabilities(pixels) for pixels, _ in tracks.batches(64)])


def accuracy(probabilities: Tensor, labels: Sequence[int] | Tensor) -> float:
    """Share of tracks whose most probable genre is theirs."""
    return float((probabilities.argmax(dim=1) == torch.as_tensor(labels)).float().mean())


if __name__ == "__main__":
    main()
