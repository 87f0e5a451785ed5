"""Epochs a search needs, for each sampler and pruner, by replaying recorded learning curves.

`record_curves.py` has trained a grid of settings with two seeds. Here the product's samplers choose
among them, and a trial "trains" by reading the recorded validation losses: it reports them epoch by
epoch, ends where the product's pruner ends it, and costs one epoch for each that it read. A setting
that is chosen again costs its epochs again. The first trial is the defaults, as in the product.

The target is what the best of 20 random trials reaches, none of them pruned: the median over
replays. "epochs" is what was spent until some epoch of some trial first reached it: the median
over replays, which differ in the sampler's seed and in the study's name (Hyperband hashes it),
with the quartiles; "ratio" is that median over the epochs of those 20 trials. A replay that has not
reached the target after `--trials` trials counts as infinitely many epochs. Then, after 20 trials:
the epochs they took, the least loss of those that were not pruned, and the loss of that setting
when it is trained with the other seed, which tells a good setting from a lucky training.

400 replays, eight rows and two recordings take about half an hour on one core.
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
    (sampler, pruner) for sampler in ("random", "tpe", "gp") for pruner in ("none", "median")
] + [("random", "hyperband"), ("tpe", "hyperband")]
TRIALS = 20  # of the random search that is the measure

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
    """A study: after each trial, the epochs spent, and of the complete ones the best so far.

    `falls`: epochs spent and the loss, wherever some epoch of some trial was the least so far.
    """

    spent: list[int]
    best: list[tuple[float, Setting | None]]
    falls: list[tuple[int, float]]

    def until(self, target: float) -> float:
        """Epochs until the target was reached, or infinity."""
        return next((spent for spent, loss in self.falls if loss <= target), math.inf)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("curves", type=Path, nargs="*", default=CURVES)
    parser.add_argument("--schedule", default="one-cycle")
    parser.add_argument("--replays", type=int, default=50)
    parser.add_argument("--trials", type=int, default=60, help="after which a replay gives up")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    recordings = [Recording.read(path, args.schedule) for path in args.curves]
    n_trials = max(args.trials, TRIALS)
    for recording, other in zip(recordings, recordings[::-1], strict=True):
        measure = replays(recording, RANDOM, args.replays, n_trials)
        target = float(np.median([replay.best[TRIALS - 1][0] for replay in measure]))
        reach = sum(min(curve) <= target for curve in recording.curves.values())
        print(f"\n{recording.name}: {reach} of {len(recording.curves)} settings of", end=" ")
        print(f"{recording.epochs} epochs reach the target of {target:.4f}\n")
        print("| sampler | pruner | epochs | quartiles | ratio | not reached | ", end="")
        print(f"epochs of {TRIALS} trials | best loss | with the other seed |\n|{'---|' * 9}")
        for row in ROWS:
            done = measure if row == RANDOM else replays(recording, row, args.replays, n_trials)
            cells = " | ".join(summary(done, target, recording, other))
            print(f"| {row[0]} | {row[1]} | {cells} |", flush=True)


def replays(recording: Recording, row: tuple[str, str], n: int, n_trials: int) -> list[Replay]:
    return [replay(recording, *row, seed, n_trials) for seed in range(n)]


def replay(recording: Recording, sampler: str, pruner: str, seed: int, n_trials: int) -> Replay:
    """One study over the recorded settings, asked and told as the product's worker does."""
    study = optuna.create_study(
        study_name=f"replay {seed}", pruner=make_pruner(pruner, recording.epochs)
    )
    study.enqueue_trial(as_params(recording, DEFAULTS))
    spent: list[int] = []
    best: list[tuple[float, Setting | None]] = []
    falls: list[tuple[int, float]] = []
    for number in range(n_trials):
        study.sampler = make_sampler(sampler, seed, number)
        trial = study.ask()
        setting = suggest(recording, trial)
        curve = recording.curves[setting]
        done, pruned = train(trial, curve)
        state = TrialState.PRUNED if pruned else TrialState.COMPLETE
        study.tell(trial, None if pruned else min(curve), state)
        before, best_before = (spent[-1], best[-1]) if spent else (0, (math.inf, None))
        for epoch, loss in enumerate(curve[:done], start=1):
            if not falls or loss < falls[-1][1]:
                falls.append((before + epoch, loss))
        spent.append(before + done)
        best.append(min(best_before, (math.inf if pruned else min(curve), setting), key=first))
    return Replay(spent, best, falls)


def first(pair: tuple[float, object]) -> float:
    return pair[0]


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
    until = [replay.until(target) for replay in done]
    low, median, high = np.percentile(until, [25, 50, 75], method="inverted_cdf")
    chosen = [replay.best[TRIALS - 1] for replay in done]
    again = [min(other.curves[setting]) for _, setting in chosen if setting is not None]
    return [
        f"{median:.0f}", f"{low:.0f} to {high:.0f}",
        f"{median / (TRIALS * recording.epochs):.2f}", str(sum(map(math.isinf, until))),
        f"{np.median([replay.spent[TRIALS - 1] for replay in done]):.0f}",
        f"{np.median([loss for loss, _ in chosen]):.4f}", f"{np.median(again):.4f}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
