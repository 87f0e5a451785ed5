"""The one epoch of a classifier that is fitted at once, told as the epochs of a network are."""

import time
from collections.abc import Callable, Mapping

import torch

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.loop import FitResult
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.passes import Passes
from genre_mlflow.training.settings import TrainingSettings


def fit_at_once(
    classifier: Classifier,
    data: Mapping[str, TrackDataset],
    settings: TrainingSettings,
    observer: Observer,
    fit: Callable[[Classifier, TrackDataset], None],
    *,
    checkpoints: CheckpointFolder,
    device: torch.device,
) -> FitResult:
    """Fit on `data["train"]`, measure on it and on `data["val"]`; once, also when it is resumed.

    `fit` changes the classifier in place, on the processor.
    """
    state = checkpoints.load_state()
    history = [EpochResult.from_dict(values) for values in state["history"]] if state else []
    observer.on_train_begin(history, 1)
    if not history:
        history = [measured(classifier, data, settings, observer, fit, device)]
        checkpoints.save_weights(1, classifier.network.state_dict())
        checkpoints.save_state({"history": [history[0].to_dict()]}, {1})
    observer.on_epoch_end(history[0], checkpoints.weights_file(1))
    return FitResult(history, checkpoints.load_weights(1))


def measured(
    classifier: Classifier,
    data: Mapping[str, TrackDataset],
    settings: TrainingSettings,
    observer: Observer,
    fit: Callable[[Classifier, TrackDataset], None],
    device: torch.device,
) -> EpochResult:
    """Fit, and what the classifier then says of both splits."""
    started = time.perf_counter()
    fit(classifier, data["train"])
    classifier.network.to(device)
    passes = Passes(classifier, settings.batch_size, observer, device)
    train, val = (
        passes.run_pass(part, data[part], range(len(data[part]))) for part in ("train", "val")
    )
    seconds = time.perf_counter() - started
    n_items = len(data["train"]) + len(data["val"])
    return EpochResult(1, train, val, 0.0, seconds, n_items / seconds, int(time.time() * 1000))
