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
from genre_mlflow.training.distributed import ALONE, Ranks
from genre_mlflow.training.history import Confusion, PassResult
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.whole_batch import Share

# Pixels and labels of a batch, and this process's share of it; of that share the logits, the sum of
# losses and of weights as they were before the step.
Learn = Callable[[Tensor, Tensor, Share], tuple[Tensor, Tensor, Tensor]]


@dataclass
class Passes:
    """What goes through the splits, pass after pass; `ranks`: the processes that share it."""

    classifier: Classifier
    batch_size: int
    observer: Observer
    device: torch.device
    ranks: Ranks = field(default=ALONE, kw_only=True)
    said: dict[str, list[Tensor]] = field(default_factory=dict, kw_only=True)  # by split and batch

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
        tally = Tally(len(order), len(self.classifier.genres), self.device)
        done = 0
        for pixels, truth in tracks.batches(self.batch_size, order):
            # As uint8 [B, C, H, W]: the network scales them, so a quarter of the bytes travel.
            pixels, truth = pixels.to(self.device), truth.to(self.device)
            mine = self.ranks.share(len(truth))
            if learn:
                logits, loss, weight = learn(pixels, truth, mine)
            else:
                share = shares[done : done + len(truth)][mine.rows] * mine.counts  # [rows]
                logits = self.answer(part, tracks, done, pixels[mine.rows])
                losses = functional.cross_entropy(logits, truth[mine.rows], reduction="none")
                loss, weight = (losses * share).sum(), share.sum()
            tally.add(done, mine, logits, loss, weight)
            done += len(truth)
            self.observer.on_batch_end(part, done, len(order))
        loss_of_pass, probabilities = tally.read(self.ranks)
        matrix = confusion(probabilities, owners, labels, self.classifier.aggregation)
        return PassResult(loss_of_pass, matrix)

    @torch.no_grad()
    def answer(self, part: str, tracks: TrackDataset, first: int, pixels: Tensor) -> Tensor:
        """Logits `[rows, genres]` of a share of the batch that begins with item `first`."""
        network = self.answering
        if not isinstance(network, Fused):
            answer: Tensor = network(pixels)
            return answer
        if part not in self.said:  # the same in every epoch
            batches = (batch for batch, _ in tracks.batches(self.batch_size))
            mine = (batch[self.ranks.share(len(batch)).rows] for batch in batches)
            self.said[part] = [network.fitted(rows.to(self.device)) for rows in mine]
        fused: Tensor = network(pixels, self.said[part][first // self.batch_size])
        return fused


class Tally:
    """What a pass adds up, on the device: to read a number would make it wait at every batch.

    The room for all answers is taken at once: one piece kept from each batch lay between what
    batches free, and cost half a megabyte a batch.
    """

    def __init__(self, n_items: int, n_genres: int, device: torch.device) -> None:
        self.loss = torch.zeros((), device=device)
        self.weight = torch.zeros((), device=device)
        self.answers = torch.zeros(n_items, n_genres, device=device)

    def add(self, first: int, mine: Share, logits: Tensor, loss: Tensor, weight: Tensor) -> None:
        """A share of the batch that begins with item `first`, detached: its graph can go."""
        self.loss += loss.detach()
        self.weight += weight
        rows = self.answers[first + mine.rows.start : first + mine.rows.stop]
        rows += logits.detach().softmax(dim=1) * mine.counts

    def read(self, ranks: Ranks) -> tuple[float, Tensor]:
        """Mean loss, and probabilities `[items, genres]` on the processor; the device waits."""
        loss, weight = ranks.sum(self.loss), ranks.sum(self.weight)
        return float(loss / weight), ranks.sum(self.answers).cpu()


def confusion(probabilities: Tensor, owners: Tensor, labels: Tensor, aggregation: str) -> Confusion:
    """Counts of tracks, `[genre, predicted genre]`, from the answers for their segments."""
    answers = aggregate(probabilities, owners, aggregation).argmax(dim=1)
    n_genres = probabilities.shape[1]
    genres = torch.zeros_like(answers)
    genres[owners] = labels
    counts = torch.bincount(genres * n_genres + answers, minlength=n_genres**2)
    matrix: Confusion = counts.reshape(n_genres, n_genres).tolist()
    return matrix
