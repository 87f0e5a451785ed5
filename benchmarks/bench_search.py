"""Epochs a search needs, for each sampler and pruner, by replaying recorded learning curves.

`record_curves.py` has trained a grid of settings with two seeds. Here the product's samplers choose
among them, and a trial "trains" by reading the recorded validation losses: it reports them epoch by
epoch, ends where the product's pruner ends it, and costs one epoch for each that it read. A setting
that is chosen again costs its epochs again. The first trial is the defaults, as in the product.

The target is what the best of 20 random trials reaches, none of them pruned: the median over
replays, which differ in the sampler's seed and in the study's name (Hyperband hashes it). "reached"
is the share of replays in which some epoch of some of 20 trials did. Then, as medians: the epochs
of those 20 trials, and their ratio to 20 whole ones; the least loss of the trials that were not
pruned; and the loss of that setting when it is trained with the other seed, with its quartiles,
which tells a good setting from a lucky training.

100 replays of nine rows and two recordings take about ten minutes on one core.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import Trial, TrialState

from search.strategies import make_pruner, make_sampler

HERE = Path(__file__).parent
CURVES = [HERE / "search_curves-seed0.json", HERE / "search_curves-seed1.json"]
RANDOM = ("random", "none")
ROWS = [
    (sampler, pruner)
    for sampler in ("random", "tpe")
    for pruner in ("none", "median", "hyperband", "halving")
] + [("gp", "none")]
TRIALS = 20

Setting = tuple[float, float, int]  # lr, dropout, batch size
DEFAULTS: Setting = (3e-3, 0.4, 32)  # the product's, as near as the grid has them


@dataclass(frozen=True)
class Recording:
    """Recorded validation losses, one per epoch, of each setting of a grid."""

    name: str
    curves: dict[Setting, list[float]]

    @classmethod
    def read(cls, path: Path, schedule: str) -> "Recording":
        recorded = json.loads(path.read_text())
        curves: dict[Setting, list[float]] = {}
        for curve in recorded["curves"]:
            lr, dropout, batch_size = (
                curve["setting"][name] for name in ("lr", "dropout", "batch_size")
            )
            curves[lr, dropout, batch_size] = curve[schedule]["val_loss"]
        recording = cls(path.name, curves)
        lrs, dropouts, batch_sizes = recording.levels
        if len(curves) != len(lrs) * len(dropouts) * len(batch_sizes):
            raise SystemExit(f"{path} holds {len(curves)} settings, which is no full grid")
        return recording

    @property
    def epochs(self) -> int:
        """Epochs of each curve."""
        return len(next(iter(self.curves.values())))

    @property
    def levels(self) -> list[list[float]]:
        """The values of learning rate, dropout and batch size, in order."""
        return [sorted(set(values)) for values in zip(*self.curves, strict=True)]


@dataclass(frozen=True)
class Replay:
    """A study: the epochs it took, the least loss that any epoch of it had, and of the trials that
    were not pruned the least loss and its setting.
    """

    epochs: int
    least: float
    best: float
    setting: Setting


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("curves", type=Path, nargs="*", default=CURVES)
    parser.add_argument("--schedule", default="one-cycle")
    parser.add_argument("--replays", type=int, default=50)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    recordings = [Recording.read(path, args.schedule) for path in args.curves]
    for recording, other in zip(recordings, recordings[::-1], strict=True):
        measure = replays(recording, RANDOM, args.replays)
        target = float(np.median([replay.best for replay in measure]))
        reach = sum(min(curve) <= target for curve in recording.curves.values())
        print(f"\n{recording.name}: {reach} of {len(recording.curves)} settings of", end=" ")
        print(f"{recording.epochs} epochs reach the target of {target:.4f}\n")
        print("| sampler | pruner | reached | epochs | ratio | best loss | ", end="")
        print(f"with the other seed | quartiles |\n|{'---|' * 8}")
        for row in ROWS:
            done = measure if row == RANDOM else replays(recording, row, args.replays)
            cells = " | ".join(summary(done, target, recording, other))
            print(f"| {row[0]} | {row[1]} | {cells} |", flush=True)


def replays(recording: Recording, row: tuple[str, str], n: int) -> list[Replay]:
    return [replay(recording, *row, seed) for seed in range(n)]


def replay(recording: Recording, sampler: str, pruner: str, seed: int) -> Replay:
    """One study over the recorded settings, asked and told as the product's worker does."""
    study = optuna.create_study(
        study_name=f"replay {seed}", pruner=make_pruner(pruner, recording.epochs)
    )
    study.enqueue_trial(as_params(recording, DEFAULTS))
    epochs, least, best, chosen = 0, math.inf, math.inf, DEFAULTS
    for number in range(TRIALS):
        study.sampler = make_sampler(sampler, seed, number)
        trial = study.ask()
        setting = suggest(recording, trial)
        curve = recording.curves[setting]
        done, pruned = train(trial, curve)
        state = TrialState.PRUNED if pruned else TrialState.COMPLETE
        study.tell(trial, None if pruned else min(curve), state)
        epochs, least = epochs + done, min(least, *curve[:done])
        if not pruned and min(curve) < best:
            best, chosen = min(curve), setting
    return Replay(epochs, least, best, chosen)


def train(trial: Trial, curve: Sequence[float]) -> tuple[int, bool]:
    """Read the curve through, or as far as the pruner allows: epochs done, and whether pruned."""
    for epoch, loss in enumerate(curve, 1):
        trial.report(loss, epoch)
        if epoch < len(curve) and trial.should_prune():
            return epoch, True
    return len(curve), False


def suggest(recording: Recording, trial: Trial) -> Setting:
    """A recorded setting; the levels keep their order and their distances, or the factors'."""
    lrs, dropouts, batch_sizes = recording.levels
    lr = lrs[trial.suggest_int("lr", 0, len(lrs) - 1)]
    dropout = dropouts[trial.suggest_int("dropout", 0, len(dropouts) - 1)]
    batch_size = batch_sizes[trial.suggest_int("batch_size", 0, len(batch_sizes) - 1)]
    return lr, dropout, int(batch_size)


def as_params(recording: Recording, setting: Setting) -> dict[str, int]:
    """The setting in the terms of `suggest`."""
    names = ("lr", "dropout", "batch_size")
    places = zip(names, recording.levels, setting, strict=True)
    return {name: levels.index(value) for name, levels, value in places}


def summary(
    done: Sequence[Replay], target: float, recording: Recording, other: Recording
) -> list[str]:
    """The cells of a row after the names."""
    reached = np.mean([replay.least <= target for replay in done])
    epochs = np.median([replay.epochs for replay in done])
    again = [min(other.curves[replay.setting]) for replay in done]
    low, median, high = np.percentile(again, [25, 50, 75])
    return [
        f"{reached:.0%}", f"{epochs:.0f}", f"{epochs / (TRIALS * recording.epochs):.2f}",
        f"{np.median([replay.best for replay in done]):.4f}", f"{median:.4f}",
        f"{low:.4f} to {high:.4f}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
