"""What the processes do that train together with rank 0, and are told by it what to train."""

import sys
from dataclasses import dataclass

from genre_mlflow import signals
from genre_mlflow.corpus.corpus import Corpus
from genre_mlflow.errors import GenreError, RankError, SettingsError, TrainingError
from genre_mlflow.files.home import home
from genre_mlflow.files.names import escaped
from genre_mlflow.files.ranks import Rank
from genre_mlflow.jobs.fitting import Fit, new_classifier, with_variants
from genre_mlflow.jobs.tracks import tensors
from genre_mlflow.model.pretrained.features import remembering
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.abandoned import end_abandoned
from genre_mlflow.tracking.commands import resume
from genre_mlflow.training.checkpoint import NoCheckpoints
from genre_mlflow.training.device import enough_memory, keep_freed_memory
from genre_mlflow.training.distributed import Dismissed, Ranks, joined
from genre_mlflow.training.loop import fit
from genre_mlflow.training.observer import Observer
from genre_mlflow.training.precision import device_for

DONE, FAILED = 0, 2  # exit codes
TIDYING_S = 15.0  # of rank 0; torchrun kills after 30 s


@dataclass(frozen=True)
class Begun:
    """What the others are told when a run is open; `run_id` is empty where its status is not ours.

    For whoever outlives rank 0.
    """

    run_id: str
    corpus: Corpus


def check_processes(options: TrainOptions, rank: Rank) -> None:
    """Raise `SettingsError` for what several processes cannot train together."""
    if rank.size == 1:
        return
    if options.family.is_fitted:
        raise SettingsError(
            f"network {options.model.network} is fitted at once, by one process, but "
            f"{rank.size} were started"
        )
    if options.training.batch_size < rank.size:
        raise SettingsError(
            f"batch_size is {options.training.batch_size}, of which {rank.size} processes cannot "
            f"each have a track; allowed are {rank.size} or more"
        )


class Follower:
    """A process that takes part in what rank 0 trains. What rank 0 says, it alone says."""

    def __init__(self, rank: Rank) -> None:
        self.rank = rank
        self.run_id = ""  # of the run that is trained, once it is open and if it is ours to end

    def follow(self) -> int:
        """Take part until rank 0 ends; the exit code of this process.

        It speaks of trouble of its own, and where rank 0 is gone without a word.
        """
        with signals.between_steps():
            try:
                with joined(self.rank) as ranks:
                    self.take_part(ranks)
            except (Dismissed, TrainingError):  # an error that all of them meet, and rank 0 tells
                return DONE
            except (RankError, KeyboardInterrupt):
                self.outlive()
            except (GenreError, OSError) as error:
                speak(f"Error: rank {self.rank.number}: {error}")
            return signals.exit_code() if signals.asked() else FAILED

    def take_part(self, ranks: Ranks) -> None:
        """Train whatever rank 0 does. Raises `Dismissed` when it has ended."""
        keep_freed_memory()
        begun: Begun = ranks.hear()
        self.run_id = begun.run_id
        while True:
            train_along(ranks, ranks.hear(), begun.corpus)

    def outlive(self) -> None:
        """End the run where rank 0 is gone without a word, and say how to go on with it."""
        signals.listener.end()  # nothing disturbs it any more
        if self.run_id and end_abandoned(self.run_id, TIDYING_S):
            speak(f"Error: rank 0 is gone; go on with: {resume(self.run_id, owned=True)}")


def speak(line: str) -> None:
    """Print a line on standard error where this process prints nothing of its own otherwise."""
    print(escaped(line), file=sys.__stderr__, flush=True)


def train_along(ranks: Ranks, asked: Fit, corpus: Corpus) -> None:
    """One training; what comes of it, rank 0 keeps."""
    options = asked.options
    device = device_for(options.training, ranks.rank)
    with enough_memory(device):
        tracks = tensors(corpus, options, asked.rows)
        classifier = new_classifier(options, asked.genres)
        teacher = asked.teacher.to(device) if asked.teacher else None
        with remembering(classifier.network, home() / "cache"):
            varied, augmentation = with_variants(tracks, options)
            fit(
                classifier, varied, options.training, Observer(), checkpoints=NoCheckpoints(),
                device=device, augmentation=augmentation, teacher=teacher, ranks=ranks,
            )  # fmt: skip
