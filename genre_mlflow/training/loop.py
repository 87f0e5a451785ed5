"""The training loop: it knows a classifier, tensors, a device, checkpoints and its observer."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.data.sampler import EpochSampler
from genre_mlflow.errors import TrainingError
from genre_mlflow.model.aggregation import aggregate
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.layers import Fused
from genre_mlflow.training.checkpoint import CheckpointFolder, first_line
from genre_mlflow.training.history import (
    Confusion,
    EpochResult,
    PassResult,
    best_epoch,
    epochs_since_best,
)
from genre_mlflow.training.mixing import Mixer
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.optimisation import (
    class_weights,
    make_average,
    make_optimizer,
    make_schedule,
)
from genre_mlflow.training.settings import TrainingSettings

# Pixels, labels and shares of a batch; logits, loss and weight as they were before the step.
Learn = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]

EPOCHS_PER_SEED = 1_000_003  # a prime beyond any run, so that (seed, epoch) pairs do not meet


@dataclass(frozen=True)
class FitResult:
    """All epochs, and the weights of the best one."""

    history: list[EpochResult]
    best_weights: dict[str, Tensor]


def fit(
    classifier: Classifier,
    data: Mapping[str, TrackDataset],
    settings: TrainingSettings,
    observer: Observer,
    *,
    checkpoints: CheckpointFolder,
    device: torch.device,
) -> FitResult:
    """Train on `data["train"]`, validate on `data["val"]`; go on from `checkpoints` if it can.

    The classifier is left with the weights of the last step, on the device; what is validated and
    kept is their mean over the steps, if the settings ask for it. A resumed run ends as an unbroken
    one would have done (on the processor: bit for bit). Raises `TrainingError` when the loss is no
    number any more.
    """
    train, val = data["train"], data["val"]
    sampler = EpochSampler(train.owners, settings.segments)
    loop = make_loop(classifier, train.labels[list(sampler)], settings, observer, device)
    history = restore(loop, checkpoints)
    observer.on_train_begin(history, settings.epochs)
    if history:  # again, for the process may have died before all of it was written down
        observer.on_epoch_end(history[-1], checkpoints.weights_file(len(history)))
    while len(history) < settings.epochs and not exhausted(history, settings.patience):
        epoch, lr, started = len(history) + 1, loop.lr, time.perf_counter()
        # All that is random in an epoch (order, segments, dropout) follows from the seed and the
        # epoch alone. So a resumed run repeats the epoch that it was killed in, and no state of a
        # generator needs to be kept.
        torch.manual_seed(settings.seed * EPOCHS_PER_SEED + epoch)  # on every device
        trained = loop.run_pass("train", train, list(sampler), loop.learn)
        check_loss("training", trained.loss, epoch, lr)
        validated = loop.run_pass("val", val, range(len(val)))
        check_loss("validation", validated.loss, epoch, lr)
        seconds = time.perf_counter() - started  # the device is done: each pass has waited for it
        images_per_s, finished_ms = (len(sampler) + len(val)) / seconds, int(time.time() * 1000)
        history.append(
            EpochResult(epoch, trained, validated, lr, seconds, images_per_s, finished_ms)
        )
        # The weights before the state that speaks of them, and both before anyone hears of the
        # epoch: whenever the process dies, what is spoken of is there.
        weights = checkpoints.save_weights(epoch, loop.answering.state_dict())
        checkpoints.save_state(state_of(loop, history), epochs_to_keep(history, settings.keep))
        observer.on_epoch_end(history[-1], weights)
    return FitResult(history, checkpoints.load_weights(best_epoch(history).epoch))


@dataclass
class Passes:
    """What goes through the splits, pass after pass."""

    classifier: Classifier
    batch_size: int
    loss_weights: Tensor  # [genres], on the device
    observer: Observer
    device: torch.device
    said: dict[str, Tensor] = field(default_factory=dict, kw_only=True)  # by split

    @property
    def answering(self) -> nn.Module:
        """The network that is validated, kept and served."""
        return self.classifier.network

    def run_pass(
        self, part: str, tracks: TrackDataset, order: Sequence[int], learn: Learn | None = None
    ) -> PassResult:
        """Go through items of a split once; `learn` changes the weights by each batch.

        A step counts each segment alike, a pass without learning each track; accuracy is that of
        tracks.
        """
        network = self.classifier.network if learn else self.answering
        network.train(learn is not None)  # dropout and batch statistics, or not
        owners, labels = tracks.owners[order], tracks.labels[order]  # [items]
        shares = torch.ones(len(order)) if learn else 1 / torch.bincount(owners)[owners]
        shares = shares.to(self.device)
        tally = Tally(self.device)
        done = 0
        for pixels, truth in tracks.batches(self.batch_size, order):
            # As uint8 [B, C, H, W]: the network scales them, so a quarter of the bytes travel.
            pixels, truth = pixels.to(self.device), truth.to(self.device)
            share = shares[done : done + len(truth)]  # [B]
            if learn:
                logits, loss, weight = learn(pixels, truth, share)
            else:
                logits = self.answer(part, tracks, done, pixels)
                loss, weight = self.loss_of(logits, one_hot(truth, logits), share)
            tally.add(logits, loss, weight)
            done += len(truth)
            self.observer.on_batch_end(part, done, len(order))
        loss_of_pass, probabilities = tally.read()
        matrix = confusion(probabilities, owners, labels, self.classifier.aggregation)
        return PassResult(loss_of_pass, matrix)

    def loss_of(self, logits: Tensor, truth: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of the losses of a batch, and of the weights by which it is to be divided.

        `truth`: shares of the genres, `[B, genres]`; `share`: what each item counts, `[B]`.
        """
        # Not its own mean, which would know of the genres' weights but not of the shares.
        losses = functional.cross_entropy(logits, truth, self.loss_weights, reduction="none")
        return (losses * share).sum(), (truth @ self.loss_weights * share).sum()

    @torch.no_grad()
    def answer(self, part: str, tracks: TrackDataset, first: int, pixels: Tensor) -> Tensor:
        """Logits of the batch that begins with item `first` of the split, `[B, genres]`."""
        network = self.answering
        if not isinstance(network, Fused):
            answer: Tensor = network(pixels)
            return answer
        if part not in self.said:  # the same in every epoch
            batches = tracks.batches(self.batch_size)
            said = [network.fitted(batch.to(self.device)) for batch, _ in batches]
            self.said[part] = torch.cat(said)
        fused: Tensor = network(pixels, self.said[part][first : first + len(pixels)])
        return fused


@dataclass
class Loop(Passes):
    """Passes that learn. `average`: the mean of the weights, which answers in their place."""

    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    mixer: Mixer
    average: AveragedModel | None

    @property
    def answering(self) -> nn.Module:
        """The averaged network, if there is one."""
        network: nn.Module = self.average.module if self.average else self.classifier.network
        return network

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self.schedule.get_last_lr()[0])

    def learn(self, pixels: Tensor, labels: Tensor, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Change the weights by a batch; logits, loss and weight as they were before."""
        pixels, truth = self.mixer(pixels, labels)
        logits = self.classifier.network(pixels)  # [B, genres]
        loss, weight = self.loss_of(logits, truth, share)
        self.step(loss / weight)
        return logits, loss, weight

    def step(self, loss: Tensor) -> None:
        """Change the weights along the gradient, and the learning rate along its schedule."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        if self.average:
            self.average.update_parameters(self.classifier.network)


def one_hot(labels: Tensor, logits: Tensor) -> Tensor:
    """All of the truth in one genre, float32 `[B, genres]`."""
    return functional.one_hot(labels, logits.shape[1]).float()


class Tally:
    """What a pass adds up, on the device: to read a number would make it wait at every batch."""

    def __init__(self, device: torch.device) -> None:
        self.loss = torch.zeros((), device=device)
        self.weight = torch.zeros((), device=device)
        self.answers: list[Tensor] = []  # [B, genres] each

    def add(self, logits: Tensor, loss: Tensor, weight: Tensor) -> None:
        """A batch; detached, so that its graph can go."""
        self.loss += loss.detach()
        self.weight += weight
        self.answers.append(logits.detach().softmax(dim=1))

    def read(self) -> tuple[float, Tensor]:
        """Mean loss, and probabilities `[items, genres]` on the processor; the device waits."""
        return float(self.loss / self.weight), torch.cat(self.answers).cpu()


def make_loop(
    classifier: Classifier,
    labels: Tensor,
    settings: TrainingSettings,
    observer: Observer,
    device: torch.device,
) -> Loop:
    """A loop at its first step; `labels` are those of the items of an epoch."""
    network = classifier.network.to(device)  # before the optimiser, which holds its parameters
    optimizer = make_optimizer(network, settings)
    steps = settings.epochs * math.ceil(len(labels) / settings.batch_size)
    schedule = make_schedule(optimizer, settings.schedule, steps)
    weights = class_weights(labels, len(classifier.genres), settings.class_weights)
    mixer = Mixer(len(classifier.genres), settings.mixup, settings.label_smoothing)
    return Loop(
        classifier, settings.batch_size, weights.to(device), observer, device, optimizer, schedule,
        mixer, make_average(network, settings.ema_decay),
    )  # fmt: skip


def confusion(probabilities: Tensor, owners: Tensor, labels: Tensor, aggregation: str) -> Confusion:
    """Counts of tracks, `[genre, predicted genre]`, from the answers for their segments."""
    answers = aggregate(probabilities, owners, aggregation).argmax(dim=1)
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
        "network": loop.classifier.network.state_dict(),
        "optimizer": loop.optimizer.state_dict(),
        "schedule": loop.schedule.state_dict(),
        "average": loop.average.state_dict() if loop.average else {},
        "history": [result.to_dict() for result in history],
    }


def restore(loop: Loop, checkpoints: CheckpointFolder) -> list[EpochResult]:
    """Bring the loop to where its last whole epoch ended; return the epochs so far."""
    state = checkpoints.load_state()
    if state is None:
        return []
    try:
        loop.classifier.network.load_state_dict(state["network"])
        loop.optimizer.load_state_dict(state["optimizer"])
        loop.schedule.load_state_dict(state["schedule"])
        if loop.average:
            loop.average.load_state_dict(state["average"])
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
