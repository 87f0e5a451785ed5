"""Samplers and pruners by name, with the settings that `benchmarks/bench_search.py` measures."""

import hashlib
import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
    WilcoxonPruner,
)
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from search.request import WILCOXON

STARTUP_TRIALS = 3  # drawn at random before TPE or the Gaussian process chooses
# Under one-cycle the early epochs say little: the rank correlation of the least loss so far with
# that of all 20 epochs is 0.3 to 0.5 after 2 of them, 0.8 after 6, 0.9 after 10 (with accuracy in
# place of the loss 0.6 after 6; benchmarks/search_curves-seed*.json).
RUNG = 0.3  # share of the epochs before the median or Hyperband may prune
FIRST_RUNG = 0.1  # the same of successive halving, which is bolder
SEEDS = 2**32


def make_sampler(name: str, seed: int, trial: int) -> BaseSampler:
    """The sampler for one trial; its randomness depends on the seed and the trial's number alone.

    So workers never draw the same numbers, and a study that goes on does not repeat itself. A
    grid is a queue of settings that `study` fills; what comes after its end is random.
    """
    digest = hashlib.sha256(f"{seed} {trial}".encode()).digest()
    own_seed = int.from_bytes(digest[:4], "big") % SEEDS
    if name not in ("tpe", "gp"):
        return RandomSampler(seed=own_seed)
    if name == "gp":
        return GPSampler(n_startup_trials=STARTUP_TRIALS, seed=own_seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            n_startup_trials=STARTUP_TRIALS, multivariate=True, constant_liar=True, seed=own_seed
        )


def make_pruner(name: str, steps: int) -> BasePruner:
    """The pruner; it compares validation losses of the same step: an epoch, or a fold.

    Wilcoxon's signed-rank test, at 0.1, finds out whether a trial is worse than the best one on the
    folds that both have seen, of which there must be four.
    """
    late = max(1, round(RUNG * steps))
    if name == "median":
        return MedianPruner(n_startup_trials=3, n_warmup_steps=late)
    if name == "hyperband":
        return HyperbandPruner(min_resource=late, max_resource=steps, reduction_factor=4)
    if name == "halving":
        early = max(1, round(FIRST_RUNG * steps))
        return SuccessiveHalvingPruner(min_resource=early, reduction_factor=3)
    if name == WILCOXON:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return WilcoxonPruner()
    return NopPruner()
