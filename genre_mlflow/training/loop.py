"""The training loop: it knows a classifier, tensors, a device, checkpoints and its observer."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.data.sampler import EpochSampler
from genre_mlflow.errors import TrainingError
from genre_mlflow.features.augmentation import Augmenter
from genre_mlflow.features.settings import AugmentationSettings
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.training.checkpoint import CheckpointFolder, first_line
from genre_mlflow.training.device import on_device
from genre_mlflow.training.distributed import ALONE, Ranks
from genre_mlflow.training.history import (
    EpochResult,
    best_epoch,
    epochs_since_best,
)
from genre_mlflow.training.layout import lay_back, lay_out
from genre_mlflow.training.mixing import Mixer
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.optimisation import (
    Average,
    class_weights,
    make_average,
    make_optimizer,
    make_schedule,
)
from genre_mlflow.training.passes import Passes
from genre_mlflow.training.precision import autocast, precision_on
from genre_mlflow.training.settings import TrainingSettings
from genre_mlflow.training.whole_batch import Share

NOT_AUGMENTED = AugmentationSettings()
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
    augmentation: AugmentationSettings = NOT_AUGMENTED,
    teacher: nn.Module | None = None,
    ranks: Ranks = ALONE,
) -> FitResult:
    """Train on `data["train"]`, validate on `data["val"]`; go on from `checkpoints` if it can.

    With a `teacher`, a network on the device, its probabilities are what is learnt instead of the
    labels (Hinton et al. 2015, arXiv:1503.02531), of the very input that the learner gets (Beyer
    et al. 2022, arXiv:2106.05237).

    `ranks`: processes that train together, all of which call this alike; what is kept and told is
    the leader's business, and no other needs `checkpoints` or an observer.

    The classifier is left with the weights of the last step, on the device; what is validated and
    kept is their mean over the steps, if the settings ask for it. A resumed run ends as an unbroken
    one would have done (on the processor: bit for bit). Raises `TrainingError` when the loss is no
    number any more.
    """
    train, val = (on_device(data[part], device) for part in ("train", "val"))
    sampler = EpochSampler(train.owners, settings.segments)
    augmenter = Augmenter(augmentation, classifier.preprocessing)
    labels = train.labels[list(sampler)]
    ranks.align(classifier.network)
    loop = make_loop(classifier, labels, settings, observer, device, augmenter, teacher, ranks)
    history = restore(loop, checkpoints)
    observer.on_train_begin(history, settings.epochs)
    if history:  # again, for the process may have died before all of it was written down
        observer.on_epoch_end(history[-1], checkpoints.weights_file(len(history)))
    while ranks.tell(is_to_go_on(history, settings)):
        epoch, lr, started = len(history) + 1, loop.lr, time.perf_counter()
        # All that is random in an epoch (order, segments, what is changed, dropout) follows from
        # the seed and the epoch alone. So a resumed run repeats the epoch that it was killed in,
        # and no state of a generator needs to be kept.
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
    lay_back(classifier.network)
    return FitResult(history, checkpoints.load_weights(best_epoch(history).epoch))


@dataclass
class Loop(Passes):
    """Passes that learn.

    `average`: the mean of the weights, which answers in their place. `teacher`: a network whose
    answers are learnt, if any. `precision`: what the layers compute in while they learn.
    """

    loss_weights: Tensor  # [genres], on the device
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    augmenter: Augmenter
    mixer: Mixer
    average: Average | None
    teacher: nn.Module | None
    precision: torch.dtype

    @property
    def answering(self) -> nn.Module:
        """The averaged network, if there is one."""
        network: nn.Module = self.average.module if self.average else self.classifier.network
        return network

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self.schedule.get_last_lr()[0])

    def learn(self, pixels: Tensor, labels: Tensor, mine: Share) -> tuple[Tensor, Tensor, Tensor]:
        """Change the weights by a batch; logits, loss and weight of `mine` as they were before."""
        pixels, truth = (of_all[mine.rows] for of_all in self.mixer(self.augmenter(pixels), labels))
        if self.teacher:
            truth = answers_of(self.teacher, pixels)
        with self.ranks.as_one(len(labels)), autocast(self.device, self.precision):
            answers = self.classifier.network(pixels)  # [B, genres], or of each committee's member
        members = answers.float().reshape(-1, *truth.shape)  # [members, B, genres]
        n = len(members)
        everyone = truth.repeat(n, 1)
        weights, logits = self.loss_weights, members.flatten(0, 1)
        loss = mine.counts * functional.cross_entropy(logits, everyone, weights, reduction="sum")
        weight = mine.counts * (everyone @ weights).sum()
        self.step(loss / self.ranks.sum(weight) * n)  # each member learns as it would alone
        return members.log_softmax(dim=2).mean(dim=0), loss, weight

    def step(self, loss: Tensor) -> None:
        """Change the weights along the gradient, and the learning rate along its schedule."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.ranks.sum_gradients(self.classifier.network)
        self.optimizer.step()
        self.schedule.step()
        if self.average:
            self.average.update_parameters(self.classifier.network)


def make_loop(
    classifier: Classifier,
    labels: Tensor,
    settings: TrainingSettings,
    observer: Observer,
    device: torch.device,
    augmenter: Augmenter,
    teacher: nn.Module | None,
    ranks: Ranks,
) -> Loop:
    """A loop at its first step; `labels` are those of the items of an epoch."""
    network = classifier.network.to(device)  # before the optimiser, which holds its parameters
    lay_out(network)
    optimizer = make_optimizer(network, settings)
    steps = settings.epochs * math.ceil(len(labels) / settings.batch_size)
    schedule = make_schedule(optimizer, settings.schedule, steps)
    weights = class_weights(labels, len(classifier.genres), settings.class_weights)
    mixer = Mixer(len(classifier.genres), settings.mixup, settings.label_smoothing)
    return Loop(
        classifier, settings.batch_size, observer, device, weights.to(device), optimizer, schedule,
        augmenter, mixer, make_average(network, settings.ema_decay), teacher,
        precision_on(device, settings.precision), ranks=ranks,
    )  # fmt: skip


@torch.no_grad()
def answers_of(teacher: nn.Module, pixels: Tensor) -> Tensor:
    """Probabilities `[B, genres]`."""
    shares: Tensor = teacher.eval()(pixels).softmax(dim=1)
    return shares


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
    state = loop.ranks.tell(checkpoints.load_state())
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


def is_to_go_on(history: list[EpochResult], settings: TrainingSettings) -> bool:
    """Whether another epoch is to be trained."""
    return len(history) < settings.epochs and not exhausted(history, settings.patience)


def exhausted(history: list[EpochResult], patience: int) -> bool:
    """True when validation loss has not fallen for `patience` epochs; 0 waits for ever."""
    return patience > 0 and epochs_since_best(history) >= patience
