"""Training the classifier of a run, and once more on more tracks when all is chosen."""

import logging
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from genre_mlflow import signals
from genre_mlflow.baselines.fitting import fit_baseline, fit_fixed_part
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.data.variants import open_variants
from genre_mlflow.features.formats.kinds import IMAGES
from genre_mlflow.features.settings import AugmentationSettings
from genre_mlflow.files.home import home
from genre_mlflow.files.words import counted
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.layers import Fused
from genre_mlflow.model.pretrained.features import remembering
from genre_mlflow.options import TrainOptions
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.distributed import here
from genre_mlflow.training.fitted import fit_at_once
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.loop import FitResult, fit
from genre_mlflow.training.observer import Observer, Observers, StopBetweenSteps

STRETCHED_PER_LINE = 160  # files; a minute or two on two cores
BOTH = "train and val"  # name of the tracks that a network is trained on again
AGAIN = "refit"  # folder of its checkpoints, in that of the run
TAUGHT = "distilled"  # and of those of a network that an ensemble has taught, with its epoch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fit:
    """A training in epochs, as the processes that are to take part in it are told.

    `rows`: of the manifest, by split.
    """

    options: TrainOptions
    genres: Sequence[str]
    rows: Mapping[str, pd.DataFrame]
    teacher: nn.Module | None  # on the processor


def new_classifier(options: TrainOptions, genres: Sequence[str]) -> Classifier:
    """An untrained classifier, whose weights the seed alone decides."""
    torch.manual_seed(options.training.seed)
    return Classifier(genres, options.family, options.preprocessing, options.model.aggregate)


def fit_classifier(
    classifier: Classifier,
    tracks: Mapping[str, TrackDataset],
    options: TrainOptions,
    observer: Observer,
    checkpoints: CheckpointFolder,
    device: torch.device,
    teacher: nn.Module | None = None,
) -> FitResult:
    """Train a network in epochs, or fit what is fitted at once.

    What has a checkpoint goes on from there, and needs nothing that it once started from.
    """
    with remembering(classifier.network, home() / "cache"):
        if not checkpoints.has_state:
            options.family.start(classifier.network)
            fit_fixed_part(classifier.network, tracks["train"])
        if options.family.is_fitted:
            return fit_at_once(
                classifier, tracks, options.training, observer, fit_baseline,
                checkpoints=checkpoints, device=device,
            )  # fmt: skip
        varied, augmentation = with_variants(tracks, options)
        ranks = here()
        if ranks.has_others:
            rows = {name: tracks[name].manifest for name in ("train", "val")}
            taught = deepcopy(teacher).cpu() if teacher else None
            ranks.tell(Fit(options, classifier.genres, rows, taught))
        return fit(
            classifier, varied, options.training, observer, checkpoints=checkpoints, device=device,
            augmentation=augmentation, teacher=teacher, ranks=ranks,
        )  # fmt: skip


def with_variants(
    tracks: Mapping[str, TrackDataset], options: TrainOptions
) -> tuple[Mapping[str, TrackDataset], AugmentationSettings]:
    """The tracks to learn from stretched and shifted where they are sound, and what is left to do.

    Images alone are left as they are: they are warped along their axes, anew in each epoch.
    """
    augmentation, manifest = options.augmentation, tracks["train"].manifest
    n_recordings = (~manifest["format"].isin(IMAGES.values())).sum()
    if not augmentation.is_warping or not n_recordings:
        return tracks, augmentation

    def announce(done: int, total: int) -> None:
        signals.check()
        if done >= total or done % STRETCHED_PER_LINE == 0:
            logger.info(
                "Stretched and shifted %d of %s, %s each, kept for later runs",
                min(done, total), counted(total, "file"), counted(augmentation.variants, "variant"),
            )  # fmt: skip

    variants = open_variants(
        manifest, augmentation, options.preprocessing, home() / "cache", announce
    )
    return {**tracks, "train": tracks["train"].varied(variants)}, augmentation.without_warping


def refit(
    options: TrainOptions,
    genres: Sequence[str],
    tracks: Mapping[str, TrackDataset],
    epochs: int,
    folder: Path,
    device: torch.device,
) -> tuple[Classifier, int | None]:
    """A classifier trained anew on the tracks of train and validation, for so many epochs.

    Nothing is left to choose an epoch by: its last weights count. With `distil`, one network that
    it has taught, and when it had (ms since 1970). `folder`: of the checkpoints.
    """
    both = {"train": tracks[BOTH], "val": tracks["val"]}
    again = options.changed(epochs=epochs)
    checkpoints = CheckpointFolder(folder / AGAIN)
    final, _ = fit_to_the_end(again, genres, both, checkpoints, device)
    if not options.training.distil:
        return final, None
    return distil(final, options, tracks, CheckpointFolder(folder / f"{TAUGHT}-{epochs}"), device)


def distil(
    teacher: Classifier,
    options: TrainOptions,
    tracks: Mapping[str, TrackDataset],
    checkpoints: CheckpointFolder,
    device: torch.device,
) -> tuple[Classifier, int]:
    """One network that has learnt what an ensemble answers, on the tracks that this was trained on.

    And when it had (ms since 1970). What is fitted beside them is fitted to it anew, and needs no
    teacher.
    """
    logger.info("Teaching one network what the %s answers", options.family)
    network = teacher.network.to(device)
    body = network.learnt if isinstance(network, Fused) else network
    alone = options.changed(ensemble=1, distil=False)
    own = {"train": tracks[BOTH if options.training.refit else "train"], "val": tracks["val"]}
    return fit_to_the_end(alone, teacher.genres, own, checkpoints, device, body)


def fit_to_the_end(
    options: TrainOptions,
    genres: Sequence[str],
    tracks: Mapping[str, TrackDataset],
    checkpoints: CheckpointFolder,
    device: torch.device,
    teacher: nn.Module | None = None,
) -> tuple[Classifier, int]:
    """A classifier trained for all epochs, whose last weights count, and when these were there."""
    classifier = new_classifier(options, genres)
    epochs = options.training.epochs
    observer = Observers([Quarters(epochs), StopBetweenSteps()])
    settings = options.changed(patience=0)
    fitted = fit_classifier(classifier, tracks, settings, observer, checkpoints, device, teacher)
    classifier.network.load_state_dict(checkpoints.load_weights(len(fitted.history)))
    return classifier, fitted.history[-1].finished_ms


class Quarters(Observer):
    """Says how far a training is, four times; what validation says is of no worth in it."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """A line at the end of each quarter."""
        if 4 * result.epoch // self.epochs > 4 * (result.epoch - 1) // self.epochs:
            logger.info("  %d of %s", result.epoch, counted(self.epochs, "epoch"))
