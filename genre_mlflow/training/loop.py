"""The training loop: it knows tensors, a device, a folder for checkpoints and its observers."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from genre_mlflow.errors import TrainingError
from genre_mlflow.model.aggregation import aggregate
from genre_mlflow.training.checkpoint import CheckpointFolder, first_line
from genre_mlflow.training.history import (
    Confusion,
    EpochResult,
    PassResult,
    best_epoch,
    epochs_since_best,
)
from genre_mlflow.training.optimisation import class_weights, make_optimizer, make_schedule
from genre_mlflow.training.settings import TrainingSettings

EPOCHS_PER_SEED = 1_000_003  # a prime beyond any run, so that (seed, epoch) pairs do not meet


class Tracks(Protocol):
    """What `fit` needs of a split: labels, and batches of pixels with them.

    An item is a segment of a track; `labels` and `owners` (the item's track, 0 to tracks - 1) are
    int64 `[items]`.
    """

    labels: Tensor
    owners: Tensor

    def __len__(self) -> int: ...

    def batches(self, size: int, order: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels uint8 `[B, 3, H, W]` and labels int64 `[B]`, in `order` or as they lie."""
        ...


class Observer:
    """Hooks of `fit`; all do nothing here. A hook that raises ends the training."""

    def on_train_begin(self, history: Sequence[EpochResult], epochs: int) -> None:
        """Before the first batch; `history` holds the epochs of a run that is resumed."""

    def on_batch_end(self, part: str, done: int, total: int) -> None:
        """After each batch of `part`, which is `train` or `val`; counted in items."""

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        """After the epoch's checkpoint is on disk.

        It comes again for the last epoch of a run that is resumed, since the process may have
        died in the midst of it.
        """


@dataclass(frozen=True)
class FitResult:
    """All epochs, and the weights of the best one."""

    history: list[EpochResult]
    best_weights: dict[str, Tensor]


def fit(
    network: nn.Module,
    train: Tracks,
    val: Tracks,
    settings: TrainingSettings,
    *,
    n_genres: int,
    device: torch.device,
    checkpoints: CheckpointFolder,
    observers: Iterable[Observer] = (),
    aggregation: str = "mean",
) -> FitResult:
    """Train `network` on `train`, validate on `val`, and go on from `checkpoints` if it can.

    `aggregation`: how the answers for the segments of a track become one, as in `aggregate`.

    An epoch's randomness depends on the seed and the epoch alone, so a resumed run repeats what
    an unbroken one would have done (on the processor: bit for bit). Raises `TrainingError` when
    the loss is no number any more.
    """
    observers = list(observers)
    network.to(device)
    optimizer = make_optimizer(network, settings)
    batches_per_epoch = math.ceil(len(train) / settings.batch_size)
    schedule = make_schedule(optimizer, settings.schedule, settings.epochs * batches_per_epoch)
    loss_weights = class_weights(train.labels, n_genres, settings.class_weights).to(device)
    loop = Loop(
        network, optimizer, schedule, settings, loss_weights, device, observers, aggregation
    )
    history = restore(loop, checkpoints)
    for observer in observers:
        observer.on_train_begin(history, settings.epochs)
    if history:
        weights = checkpoints.weights_file(len(history))
        for observer in observers:
            observer.on_epoch_end(history[-1], weights)
    while len(history) < settings.epochs and not exhausted(history, settings.patience):
        result = loop.run_epoch(len(history) + 1, train, val)
        history.append(result)
        weights = checkpoints.save_weights(result.epoch, network.state_dict())
        checkpoints.save_state(state_of(loop, history), epochs_to_keep(history, settings.keep))
        for observer in observers:
            observer.on_epoch_end(result, weights)
    return FitResult(history, checkpoints.load_weights(best_epoch(history).epoch))


@dataclass
class Loop:
    """One epoch after the other, over what stays the same between them."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    settings: TrainingSettings
    loss_weights: Tensor  # [genres], on the device
    device: torch.device
    observers: Sequence[Observer]
    aggregation: str

    def run_epoch(self, epoch: int, train: Tracks, val: Tracks) -> EpochResult:
        """Train on every item once, in an order of this epoch's own, then validate."""
        started = time.perf_counter()
        lr = float(self.schedule.get_last_lr()[0])
        torch.manual_seed(self.settings.seed * EPOCHS_PER_SEED + epoch)  # on every device
        order = torch.randperm(len(train))
        trained = self.run_pass("train", train, order)
        check_loss("training", trained.loss, epoch, lr)
        validated = self.run_pass("val", val)
        check_loss("validation", validated.loss, epoch, lr)
        seconds = time.perf_counter() - started
        images_per_s = (len(train) + len(val)) / seconds
        finished_ms = int(time.time() * 1000)
        return EpochResult(epoch, trained, validated, lr, seconds, images_per_s, finished_ms)

    def run_pass(self, part: str, tracks: Tracks, order: Tensor | None = None) -> PassResult:
        """Go through a split once; `train` changes the weights, anything else does not.

        A step counts each segment alike, validation each track; accuracy is that of tracks.
        """
        training = part == "train"
        self.network.train(training)
        owners = tracks.owners if order is None else tracks.owners[order]
        shares = torch.ones(len(tracks)) if training else 1 / torch.bincount(owners)[owners]
        shares = shares.to(self.device)
        loss_sum = torch.zeros((), device=self.device)
        weight_sum = torch.zeros((), device=self.device)
        answers: list[Tensor] = []
        done = 0
        with torch.set_grad_enabled(training):
            for pixels, labels in tracks.batches(self.settings.batch_size, order):
                pixels, labels = pixels.to(self.device), labels.to(self.device)
                share = shares[done : done + len(labels)]
                logits = self.network(pixels)
                losses = functional.cross_entropy(
                    logits, labels, self.loss_weights, reduction="none"
                )
                loss, weight = (losses * share).sum(), (self.loss_weights[labels] * share).sum()
                if training:
                    self.step(loss / weight)
                loss_sum += loss.detach()
                weight_sum += weight
                answers.append(logits.detach().softmax(dim=1))
                done += len(labels)
                for observer in self.observers:
                    observer.on_batch_end(part, done, len(tracks))
        labels = tracks.labels if order is None else tracks.labels[order]
        probabilities = torch.cat(answers).cpu()  # the device waits here
        matrix = confusion(probabilities, owners, labels, self.aggregation)
        return PassResult(float(loss_sum / weight_sum), matrix)

    def step(self, loss: Tensor) -> None:
        """Change the weights along the gradient, and the learning rate along its schedule."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()


def confusion(probabilities: Tensor, owners: Tensor, labels: Tensor, how: str) -> Confusion:
    """Counts of tracks, `[genre, predicted genre]`, from the answers for their segments."""
    answers = aggregate(probabilities, owners, how).argmax(dim=1)
    n_genres = probabilities.shape[1]
    genres = torch.zeros_like(answers)
    genres[owners] = labels
    counts = torch.bincount(genres * n_genres + answers, minlength=n_genres**2)
    matrix: Confusion = counts.reshape(n_genres, n_genres).tolist()
    return matrix


def check_loss(part: str, loss: float, epoch: int, lr: float) -> None:
    """Refuse an epoch whose loss is no number: neither it nor what follows is worth keeping."""
    if not math.isfinite(loss):
        raise TrainingError(f"{part} loss is {loss} in epoch {epoch} (lr {lr:g}); try a lower lr")


def state_of(loop: Loop, history: list[EpochResult]) -> dict[str, object]:
    """What `restore` needs."""
    return {
        "network": loop.network.state_dict(),
        "optimizer": loop.optimizer.state_dict(),
        "schedule": loop.schedule.state_dict(),
        "history": [result.to_dict() for result in history],
    }


def restore(loop: Loop, checkpoints: CheckpointFolder) -> list[EpochResult]:
    """Bring the loop to where its last whole epoch ended; return the epochs so far."""
    state = checkpoints.load_state()
    if state is None:
        return []
    try:
        loop.network.load_state_dict(state["network"])
        loop.optimizer.load_state_dict(state["optimizer"])
        loop.schedule.load_state_dict(state["schedule"])
        history = [EpochResult.from_dict(values) for values in state["history"]]
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"the checkpoint in {checkpoints.folder} is of another network: {first_line(error)}"
        ) from error
    loop.schedule.last_epoch -= 1  # `step` works the rate out anew: the total may have grown
    loop.schedule.step()
    return history


def epochs_to_keep(history: list[EpochResult], keep: str) -> set[int]:
    """Epochs whose weights stay: the best and the last, or all."""
    if keep == "all":
        return {result.epoch for result in history}
    return {best_epoch(history).epoch, history[-1].epoch}


def exhausted(history: list[EpochResult], patience: int) -> bool:
    """True when validation accuracy has not risen for `patience` epochs; 0 waits for ever."""
    return patience > 0 and epochs_since_best(history) >= patience
