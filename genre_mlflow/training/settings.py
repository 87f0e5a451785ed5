"""Settings of training: what `fit` needs to know beside network and data."""

import re
from dataclasses import dataclass

from genre_mlflow.errors import SettingsError
from genre_mlflow.settings import Settings, option
from genre_mlflow.training.recipes import DEFAULT, RECIPES

SCHEDULES = ("none", "cosine", "one-cycle", "stable-decay")
CLASS_WEIGHTS = ("none", "balanced")
KEEP = ("best-last", "all")
SEGMENTS = ("all", "random")
AUTO, BFLOAT16 = "auto", "bfloat16"
PRECISIONS = (AUTO, "float32", BFLOAT16)
DEVICES = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """How a network is trained.

    `recipe`: whose defaults the options took that were not given; `lr`: (peak) learning rate of
    AdamW; `schedule`: its course over the run; `weight_decay` spares norms and biases;
    `label_smoothing`: share of the truth that goes to all genres alike; `mixup`:
    alpha of the Beta distribution by which pairs of tracks are mixed; `ema_decay`: of the mean of
    the weights over the steps, which is validated, kept and served; `refit`: when epochs and
    settings are chosen, train a network anew on train and validation together; `refit_folds`: of
    these tracks, on each of which a training on the others answers, for the temperature; 1: the
    network before answers to validation; 0: by cost, see `jobs.out_of_fold`; `distil`: when an
    ensemble has learnt, teach one network what it answers; `class_weights`:
    `balanced` weighs each genre by the inverse of its share, in learning, not in validation;
    `keep`: which epochs' weights stay; `segments`: of a track with several, an epoch trains on all
    of them, or on a random one.
    """

    recipe: str = option(
        DEFAULT, "Defaults of other options: plain, an ordinary VGG; best, with --refit.",
        choices=tuple(RECIPES),
    )  # fmt: skip
    epochs: int = option(40, "Times that every track is trained on.", low=1, high=100_000)
    batch_size: int = option(32, "Tracks per step.", low=1, high=65_536, searchable=True)
    lr: float = option(
        3e-3, "Learning rate of AdamW, at its peak.", above=0, high=10, searchable=True
    )
    weight_decay: float = option(
        0.05, "Weight decay of AdamW; norms and biases are spared.",
        low=0, high=10, searchable=True,
    )  # fmt: skip
    schedule: str = option(
        "one-cycle", "Course of the learning rate.", choices=SCHEDULES, searchable=True
    )
    label_smoothing: float = option(
        0.1, "Share of the truth that goes to all genres alike.", low=0, below=1, searchable=True
    )
    mixup: float = option(
        0.3, "Mix pairs of tracks, by Beta(mixup, mixup); 0: none.",
        low=0, high=10, searchable=True,
    )  # fmt: skip
    ema_decay: float = option(
        0.99, "Average the weights over the steps, by this decay; 0: the last ones.",
        low=0, below=1, searchable=True,
    )  # fmt: skip
    refit: bool = option(
        False, "At the end, train anew on train and validation together; that network is tested."
    )
    refit_folds: int = option(
        0, "Folds of train and validation whose unseen answers calibrate after --refit; 1: those "
        "of the network before to validation; 0: 5 for what is fitted at once, else 1.",
        low=0, high=100,
    )  # fmt: skip
    distil: bool = option(
        False, "At the end, one network learns what the ensemble answers, and is kept instead."
    )
    patience: int = option(
        0,
        "Stop after so many epochs in which validation loss has not fallen; 0: never.",
        low=0,
        high=100_000,
    )
    class_weights: str = option(
        "none", "Weigh genres in the loss.", choices=CLASS_WEIGHTS, searchable=True
    )
    seed: int = option(0, "Seed of weights, order and dropout.", low=0, high=2**32 - 1)
    keep: str = option("best-last", "Epochs whose weights are kept in MLflow.", choices=KEEP)
    segments: str = option("all", "Segments of a track that an epoch trains on.", choices=SEGMENTS)
    device: str = option("auto", "auto (CUDA, then MPS, then CPU), cpu, cuda, cuda:N or mps.")
    precision: str = option(
        AUTO, "Numbers that layers learn in; auto: bfloat16 on a GPU that has it, else float32.",
        choices=PRECISIONS,
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not DEVICES.fullmatch(self.device):  # whether it is there, torch is asked later
            raise SettingsError(
                f"device {self.device!r} is unknown; allowed are auto, cpu, cuda, cuda:N and mps"
            )
