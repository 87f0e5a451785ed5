"""The gate between a challenger and the champion: a pure function of their predictions tables."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from genre_mlflow.evaluation.calibration import calibration_error
from genre_mlflow.evaluation.comparison import Comparison, compare
from genre_mlflow.evaluation.cost import UNKNOWN, Cost, latency_ratio, size_ratio
from genre_mlflow.evaluation.exact import flips_p, gains_by_group, score_z
from genre_mlflow.evaluation.gate_settings import LIGHTER, GateSettings
from genre_mlflow.evaluation.statistics import Interval
from genre_mlflow.files.words import counted, few

FEWEST = 10  # test tracks of a genre whose recall decides; of 9 each is worth 11 points
MOST_CHANCE = 0.05  # two-sided, as the interval is of 95 %
LEAST_Z = 1.96


@dataclass(frozen=True)
class Drop:
    """By how many points the recall of a genre falls, 0 to 100, and on how many test tracks."""

    genre: str
    points: float
    tracks: int


@dataclass(frozen=True)
class Verdict:
    """What a challenger (side A of `comparison`) has shown against the champion (side B).

    `drops`: genres whose recall falls, the largest first. `calibration`, `calibration_before`: the
    calibration error of challenger and champion, 0 to 1. `cost`, `cost_before`: what they cost, as
    far as it was looked at. `over`: what of the challenger alone is over a limit, in words.
    """

    settings: GateSettings
    comparison: Comparison
    drops: tuple[Drop, ...]
    calibration: float
    calibration_before: float
    cost: Cost = UNKNOWN
    cost_before: Cost = UNKNOWN
    over: tuple[str, ...] = ()

    @cached_property
    def chance(self) -> float:
        """How likely a gain or loss so large is of two that are equally good, 0 to 1."""
        found = self.comparison
        if found.over_groups:
            return flips_p(gains_by_group(found.tracks))
        return found.mcnemar.p if found.mcnemar else 1.0

    @property
    def above(self) -> bool:
        """Whether the whole interval of the gain lies above `min_gain`."""
        return 100 * self.comparison.difference.low > self.settings.min_gain

    @property
    def better(self) -> bool:
        """Whether it does, and not by the chance of a few answers."""
        return self.above and self.chance <= MOST_CHANCE

    @property
    def not_worse(self) -> bool:
        """Whether the gain is shown to lie above minus the margin, by interval and score test."""
        found, margin = self.comparison, self.settings.margin
        if not found.mcnemar or margin == 0:
            return self.better
        z = score_z(found.mcnemar.only_one, found.mcnemar.only_other, found.n, -margin / 100)
        return 100 * found.difference.low > -margin and z >= LEAST_Z

    @property
    def smaller(self) -> bool:
        """Whether enough bytes of weights are saved."""
        return size_ratio(self.cost, self.cost_before) <= self.enough

    @cached_property
    def latency(self) -> Interval | None:
        """The p95 latency as a share of the champion's; None where it was not measured."""
        if not (self.cost.latencies_ms and self.cost_before.latencies_ms):
            return None
        return latency_ratio(self.cost, self.cost_before)

    @property
    def faster(self) -> bool:
        """Whether the whole interval of the latency's share says that enough is saved."""
        return self.latency is not None and self.latency.high <= self.enough

    @property
    def enough(self) -> float:
        """The share of the champion's cost that a lighter one has at most; less than all of it."""
        return min(1 - self.settings.min_saving / 100, 1 - 1e-6)

    @property
    def may_be_lighter(self) -> bool:
        """Whether what it costs decides."""
        return self.settings.accept == LIGHTER and not self.better and self.not_worse

    @property
    def lighter(self) -> bool:
        """Whether it passes for what it saves."""
        return self.may_be_lighter and (self.smaller or self.faster)

    @property
    def too_large(self) -> tuple[Drop, ...]:
        """Drops of recall above `max_recall_drop`, on however many tracks."""
        return tuple(drop for drop in self.drops if drop.points > self.settings.max_recall_drop)

    @property
    def faults(self) -> list[str]:
        """What, beside the gain, speaks against the challenger."""
        drops = [
            f"recall of {drop.genre} drops by {drop.points:.1f} points on {drop.tracks} tracks "
            f"({self.settings.max_recall_drop:g} allowed)"
            for drop in self.too_large
            if drop.tracks >= FEWEST
        ]
        return [*drops, *self.over]

    @property
    def passed(self) -> bool:
        """Whether the challenger may become the champion."""
        return (self.better or self.lighter) and not self.faults

    @property
    def may_pass(self) -> bool:
        """Whether it passes, or would if it were fast enough."""
        return (self.better or self.may_be_lighter) and not self.faults

    def notes(self) -> list[str]:
        """Large drops of recall that do not decide, for their tracks are few."""
        return [
            f"recall of {drop.genre} drops by {drop.points:.1f} points, which does not decide: "
            f"it has {counted(drop.tracks, 'test track')}, and {FEWEST} are needed"
            for drop in self.too_large
            if drop.tracks < FEWEST
        ]

    def evidence(self) -> dict[str, str]:
        """The figures by short names, in points but for the calibration errors."""
        gain, rule = self.comparison.difference, self.settings
        found = {
            "gain": f"{100 * gain.mean:+.2f}",
            "low": f"{100 * gain.low:+.2f}",
            "high": f"{100 * gain.high:+.2f}",
            "chance": f"{self.chance:.4f}",
            "tracks": str(self.comparison.n),
            "recall_drops": few([f"{d.genre} {d.points:.1f}" for d in self.drops]) or "none",
            "calibration_error": f"{self.calibration:.3f}",
            "champion_calibration_error": f"{self.calibration_before:.3f}",
            "rule": ", ".join(f"{name} {as_rule(value)}" for name, value in vars(rule).items()),
            **self.cost.evidence(),
            **{f"champion_{name}": value for name, value in self.cost_before.evidence().items()},
        }
        return found | ({"groups": str(gain.n)} if self.comparison.over_groups else {})


def as_rule(value: object) -> str:
    """A setting as it is kept."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def judge(challenger: pd.DataFrame, champion: pd.DataFrame, settings: GateSettings) -> Verdict:
    """Compare the predictions of a challenger with those of the champion on the same test tracks.

    Raises `DataError` for tables of other tracks or genres, and for fewer than two tracks.
    """
    comparison = compare([challenger], [champion])
    return Verdict(
        settings=settings,
        comparison=comparison,
        drops=recall_drops(comparison.genres),
        calibration=calibration_error(challenger),
        calibration_before=calibration_error(champion),
    )


def recall_drops(genres: pd.DataFrame) -> tuple[Drop, ...]:
    """Genres of a comparison in which side A has fewer tracks right, the largest drop first."""
    lost = genres["b_right"] - genres["a_right"]
    columns = genres["genre"], 100 * lost / genres["tracks"], genres["tracks"]
    drops = [Drop(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    return tuple(sorted((d for d in drops if d.points > 0), key=lambda drop: -drop.points))
