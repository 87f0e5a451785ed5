"""How often chance alone passes the gate: two equal models, few of whose answers differ.

    python benchmarks/bench_gate.py [--tracks 290] [--draws 2000]

By number of tracks that the two answer differently, and by number of artists where tracks come in
groups: the share of draws in which the bootstrap interval lies above 0, and in which the exact
sign-flip test agrees, as the gate asks. Then the share in which a challenger that is worse by just
the margin passes as not worse, by the interval alone and with the score test. Both should be 2.5 %
at most.
"""

import argparse

import numpy as np
import pandas as pd

from genre_mlflow.evaluation.exact import flips_p, score_z
from genre_mlflow.evaluation.gate import LEAST_Z, MOST_CHANCE

RESAMPLES = 1000
MARGIN = 2.0  # points


def low_end(gains: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> float:
    """The low end of the bootstrap's 95 % interval of the gain, over what is drawn."""
    drawn = rng.integers(0, len(gains), (RESAMPLES, len(gains)))
    return float(np.percentile(gains[drawn].sum(1) / sizes[drawn].sum(1), 2.5))


def superiority(
    tracks: int, differing: int, groups: int, draws: int, rng: np.random.Generator
) -> tuple:
    """Shares of draws of two equal models in which the interval, and both, say better."""
    alone = both = 0
    owner = np.arange(tracks) % groups
    sizes = np.bincount(owner).astype(float)
    for _ in range(draws):
        signs = rng.choice([-1, 1], groups)[owner]  # all of an artist's tracks go one way
        changed = rng.choice(tracks, differing, replace=False)
        gains = np.bincount(owner[changed], signs[changed], groups)
        above = low_end(gains, sizes, rng) > 0
        alone += above
        both += above and flips_p(gains.astype(int).tolist()) <= MOST_CHANCE
    return alone / draws, both / draws


def inferiority(tracks: int, won: float, draws: int, rng: np.random.Generator) -> tuple:
    """Shares in which a challenger that is worse by the margin passes as not worse.

    `won`: tracks that it wins on average, beside those that it loses.
    """
    alone = both = 0
    for _ in range(draws):
        rates = won / tracks, (won + MARGIN / 100 * tracks) / tracks
        kinds = rng.multinomial(tracks, [*rates, 1 - sum(rates)])
        gains = np.repeat([1.0, -1.0, 0.0], kinds)
        above = 100 * low_end(gains, np.ones(tracks), rng) > -MARGIN
        alone += above
        both += above and score_z(kinds[0], kinds[1], tracks, -MARGIN / 100) >= LEAST_Z
    return alone / draws, both / draws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=290, help="of the test set")
    parser.add_argument("--draws", type=int, default=2000, help="of both models' answers")
    args = parser.parse_args()
    tracks, draws, rng = args.tracks, args.draws, np.random.default_rng(0)
    rows = [
        (f"equal, {n} differ, {groups} groups", *superiority(tracks, n, groups, draws, rng))
        for groups in (tracks, 60, 8)
        for n in (4, 5, 8, 11, 20, 60)
    ]
    rows += [(f"worse by {MARGIN:g} points, wins {won}", *inferiority(tracks, won, draws, rng))
             for won in (0, 2, 10, 30)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["models", "interval alone", "the gate"])
    print(table.to_string(index=False, float_format="{:.1%}".format))


if __name__ == "__main__":
    main()
