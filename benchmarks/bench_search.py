"""Epochs a search needs, for each sampler and pruner, by replaying recorded learning curves.

`record_curves.py` has trained a grid of settings. Here the product's samplers choose among them,
and a trial "trains" by reading the recorded validation accuracies: it reports them epoch by epoch,
ends where the product's pruner ends it, and costs one epoch for each that it read. A setting that
is chosen again costs its epochs again. The first trial is always the defaults, as in the product;
`--no-defaults-first` leaves that out, for all rows alike.

The target is the 95th percentile of the settings' best accuracies: what the best 5 % reach.
"epochs" is what was spent until some epoch of some trial first reached it: the median over
replays, which differ in the sampler's seed and in the study's name (Hyperband hashes it), with
the quartiles. "ratio" is that median over random search's without a pruner. A replay that has
not reached the target after `--trials` trials is counted under "never", and as infinitely many
epochs. The last two columns are medians too: the best completed trial's accuracy after the first
20 trials, and the epochs those 20 took.

Medians of 50 replays scatter widely, so that differences of a third say nothing: `--replays 400`.
Two recordings, 50 replays and six rows take two to five minutes on one core.
"""

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import Trial, TrialState

from search.strategies import make_pruner, make_sampler

HERE = Path(__file__).parent
CURVES = [HERE / "search_curves-seed0.json", HERE / "search_curves-seed1.json"]
ROWS = [
    (sampler, pruner) for sampler in ("random", "tpe") for pruner in ("none", "median", "hyperband")
]
BEST_AFTER = 20  # trials

Setting = tuple[float, float, int]  # lr, dropout, batch size
DEFAULTS: Setting = (1e-3, 0.5, 32)  # of the product when the curves were recorded
MakeSampler = Callable[[int, int], BaseSampler]  # seed, trial's number
MakePruner = Callable[[int], BasePruner]  # epochs


@dataclass(frozen=True)
class Recording:
    """Recorded validation accuracies, one per epoch, of each setting of a grid."""

    curves: dict[Setting, list[float]]
    epochs: int

    @classmethod
    def read(cls, path: Path) -> "Recording":
        recorded = json.loads(path.read_text())
        curves = {
            (c["lr"], c["dropout"], c["batch_size"]): c["val_accuracy"] for c in recorded["curves"]
        }
        recording = cls(curves, recorded["recorded"]["epochs"])
        lrs, dropouts, batch_sizes = recording.levels
        if len(curves) != len(lrs) * len(dropouts) * len(batch_sizes):
            raise SystemExit(f"{path} holds {len(curves)} settings, which is no full grid")
        return recording

    @property
    def levels(self) -> list[list[float]]:
        """The values of learning rate, dropout and batch size, in order."""
        return [sorted(set(values)) for values in zip(*self.curves, strict=True)]

    @property
    def target(self) -> float:
        """What the best 5 % of the settings reach."""
        return float(np.percentile([max(curve) for curve in self.curves.values()], 95))


@dataclass(frozen=True)
class Replay:
    """`to_target`: epochs until the target was reached, or infinity; then what the first
    `BEST_AFTER` trials found and cost.
    """

    to_target: float
    best: float
    epochs: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("curves", type=Path, nargs="*", default=CURVES)
    parser.add_argument("--replays", type=int, default=50)
    parser.add_argument("--trials", type=int, default=300, help="after which a replay gives up")
    parser.add_argument("--defaults-first", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for path in args.curves:
        recording = Recording.read(path)
        reach = sum(max(curve) >= recording.target for curve in recording.curves.values())
        print(
            f"\n{path.name}: {len(recording.curves)} settings of {recording.epochs} epochs, ",
            end="",
        )
        print(f"{reach} of them reach the target of {recording.target:.2%}\n")
        print("| sampler | pruner | epochs | quartiles | ratio | never | ", end="")
        print(f"best of {BEST_AFTER} trials | their epochs |\n|---|---|---|---|---|---|---|---|")
        unpruned = None
        for sampler, pruner in ROWS:
            replays = [
                replay(
                    recording,
                    lambda seed, number, name=sampler: make_sampler(name, seed, number),
                    lambda epochs, name=pruner: make_pruner(name, epochs),
                    seed, args.trials, args.defaults_first,
                )
                for seed in range(args.replays)
            ]  # fmt: skip
            line, median = summary(replays, unpruned)
            unpruned = unpruned or median
            print(f"| {sampler} | {pruner} | {line} |", flush=True)


def replay(
    recording: Recording,
    sampler: MakeSampler,
    pruner: MakePruner,
    seed: int,
    n_trials: int,
    defaults_first: bool = True,
) -> Replay:
    """One study over the recorded settings, asked and told as the product's worker does."""
    study = optuna.create_study(
        study_name=f"replay {seed}", direction="maximize", pruner=pruner(recording.epochs)
    )
    if defaults_first:
        study.enqueue_trial(as_params(recording, DEFAULTS))
    spent, to_target, best, epochs = 0, math.inf, 0.0, 0
    for number in range(n_trials):
        study.sampler = sampler(seed, number)
        trial = study.ask()
        curve = recording.curves[suggest(recording, trial)]
        done, pruned = train(trial, curve)
        study.tell(
            trial,
            None if pruned else max(curve),
            TrialState.PRUNED if pruned else TrialState.COMPLETE,
        )
        reached = [e for e, accuracy in enumerate(curve[:done], 1) if accuracy >= recording.target]
        if reached:
            to_target = min(to_target, spent + reached[0])
        spent += done
        if number < BEST_AFTER:
            best, epochs = max(best, 0.0 if pruned else max(curve)), spent
        if number + 1 >= BEST_AFTER and to_target < math.inf:
            break
    return Replay(to_target, best, epochs)


def train(trial: Trial, curve: list[float]) -> tuple[int, bool]:
    """Read the curve through, or as far as the pruner allows: epochs done, and whether pruned."""
    for epoch, accuracy in enumerate(curve, 1):
        trial.report(accuracy, epoch)
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


def summary(replays: list[Replay], unpruned: float | None) -> tuple[str, float]:
    """The columns after the names, and the median number of epochs to the target."""
    to_target = [replay.to_target for replay in replays]
    low, median, high = np.percentile(to_target, [25, 50, 75], method="inverted_cdf")
    never = sum(map(math.isinf, to_target))
    best = np.median([replay.best for replay in replays])
    epochs = np.median([replay.epochs for replay in replays])
    line = (
        f"{median:.0f} | {low:.0f} to {high:.0f} | {median / (unpruned or median):.2f} | {never} "
        f"| {best:.1%} | {epochs:.0f}"
    )
    return line, float(median)


if __name__ == "__main__":
    main()
