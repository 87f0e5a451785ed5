"""Passes through the splits: what a network answers, its loss, and who is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.model.aggregation import aggregate
from genre_mlflow.model.classifier import Classifier
from genre_mlflow.model.layers import Fused
from genre_mlflow.training.history import Confusion, PassResult
from genre_mlflow.training.observer import Observer

# Pixels and labels of a batch; logits, sum of losses and of weights as they were before the step.
Learn = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


@dataclass
class Passes:
    """What goes through the splits, pass after pass."""

    classifier: Classifier
    batch_size: int
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

        A step counts each segment alike, a pass without learning each track; its loss is the plain
        logarithm, whatever is learnt by, so that runs can be compared. Accuracy is that of tracks.
        """
        network = self.classifier.network if learn else self.answering
        network.train(learn is not None)  # dropout and batch statistics, or not
        owners, labels = tracks.owners[order], tracks.labels[order]  # [items]
        shares = (1 / torch.bincount(owners)[owners]).to(self.device)
        tally = Tally(self.device, len(order))
        done = 0
        for pixels, truth in tracks.batches(self.batch_size, order):
            # As uint8 [B, C, H, W]: the network scales them, so a quarter of the bytes travel.
            pixels, truth = pixels.to(self.device), truth.to(self.device)
            if learn:
                logits, loss, weight = learn(pixels, truth)
            else:
                share = shares[done : done + len(truth)]  # [B]
                logits = self.answer(part, tracks, done, pixels)
                losses = functional.cross_entropy(logits, truth, reduction="none")
                loss, weight = (losses * share).sum(), share.sum()
            tally.add(logits, loss, weight)
            done += len(truth)
            self.observer.on_batch_end(part, done, len(order))
        loss_of_pass, probabilities = tally.read()
        matrix = confusion(probabilities, owners, labels, self.classifier.aggregation)
        return PassResult(loss_of_pass, matrix)

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


class Tally:
    """What a pass adds up, on the device: to read a number would make it wait at every batch.

    `n`: its items. The room for their answers is taken at once: one piece kept from each batch lay
    between what batches free, and cost half a megabyte a batch.
    """

    def __init__(self, device: torch.device, n: int) -> None:
        self.loss = torch.zeros((), device=device)
        self.weight = torch.zeros((), device=device)
        self.n, self.done = n, 0
        self.answers = torch.empty(0, device=device)  # [items, genres] from the first batch on

    def add(self, logits: Tensor, loss: Tensor, weight: Tensor) -> None:
        """A batch; detached, so that its graph can go."""
        if not self.done:
            self.answers = torch.empty(self.n, logits.shape[1], device=self.loss.device)
        self.loss += loss.detach()
        self.weight += weight
        self.answers[self.done : self.done + len(logits)] = logits.detach().softmax(dim=1)
        self.done += len(logits)

    def read(self) -> tuple[float, Tensor]:
        """Mean loss, and probabilities `[items, genres]` on the processor; the device waits."""
        return float(self.loss / self.weight), self.answers.cpu()


def confusion(probabilities: Tensor, owners: Tensor, labels: Tensor, aggregation: str) -> Confusion:
    """Counts of tracks, `[genre, predicted genre]`, from the answers for their segments."""
    answers = aggregate(probabilities, owners, aggregation).argmax(dim=1)
    n_genres = probabilities.shape[1]
    genres = torch.zeros_like(answers)
    genres[owners] = labels
    counts = torch.bincount(genres * n_genres + answers, minlength=n_genres**2)
    matrix: Confusion = counts.reshape(n_genres, n_genres).tolist()
    return matrix
