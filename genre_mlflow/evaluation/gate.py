"""The gate between a challenger and the champion: a pure function of their predictions tables."""

from dataclasses import dataclass

import pandas as pd

from genre_mlflow.evaluation.calibration import calibration_error
from genre_mlflow.evaluation.comparison import Comparison, compare
from genre_mlflow.evaluation.gate_settings import GateSettings
from genre_mlflow.files.words import counted, few

FEWEST = 10  # test tracks of a genre whose recall decides; of 9 each is worth 11 points


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
    calibration error of challenger and champion, 0 to 1.
    """

    settings: GateSettings
    comparison: Comparison
    drops: tuple[Drop, ...]
    calibration: float
    calibration_before: float

    @property
    def better(self) -> bool:
        """Whether the whole interval of the gain lies above `min_gain`."""
        return 100 * self.comparison.difference.low > self.settings.min_gain

    @property
    def too_large(self) -> tuple[Drop, ...]:
        """Drops of recall above `max_recall_drop`, on however many tracks."""
        return tuple(drop for drop in self.drops if drop.points > self.settings.max_recall_drop)

    @property
    def faults(self) -> list[str]:
        """What, beside the gain, speaks against the challenger."""
        faults = [
            f"recall of {drop.genre} drops by {drop.points:.1f} points on {drop.tracks} tracks "
            f"({self.settings.max_recall_drop:g} allowed)"
            for drop in self.too_large
            if drop.tracks >= FEWEST
        ]
        if self.calibration > self.settings.max_calibration_error:
            faults.append(
                f"its calibration error is {self.calibration:.3f} "
                f"({self.settings.max_calibration_error:g} allowed)"
            )
        return faults

    @property
    def passed(self) -> bool:
        """Whether the challenger may become the champion."""
        return self.better and not self.faults

    def sentence(self, challenger: str, champion: str) -> str:
        """The decision's reason with its figures; of a refusal also what can be done."""
        head = f"{challenger} {self.standing()} the champion, {champion}: {self.figures()}"
        if self.passed:
            return head
        must = (
            [] if self.better else [f"where the interval must lie above {self.settings.min_gain:g}"]
        )
        if self.faults:
            must.append(("but " if self.better else "and ") + few(self.faults, between=", and "))
        advice = "use --force --why TEXT to promote it all the same"
        if not self.better and self.comparison.difference.high > 0:
            advice = f"more test tracks make the interval narrower, or {advice}"
        return f"{', '.join([head, *must])}; {advice}"

    def standing(self) -> str:
        """How the challenger stands to the champion, in words."""
        by = f" by {self.settings.min_gain:g} points" if self.settings.min_gain else ""
        if self.better:
            return f"is better{by} than"
        worse = self.comparison.difference.high < 0
        return "is worse than" if worse else f"is not shown to be better{by} than"

    def figures(self) -> str:
        """Both accuracies, and the gain with its interval."""
        found = self.comparison
        return f"{found.a:.1%} against {found.b:.1%} of the test set, {found.in_words}"

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
            "tracks": str(self.comparison.n),
            "recall_drops": few([f"{d.genre} {d.points:.1f}" for d in self.drops]) or "none",
            "calibration_error": f"{self.calibration:.3f}",
            "champion_calibration_error": f"{self.calibration_before:.3f}",
            "rule": f"min_gain {rule.min_gain:g}, max_recall_drop {rule.max_recall_drop:g}, "
            f"max_calibration_error {rule.max_calibration_error:g}",
        }
        return found | ({"groups": str(gain.n)} if self.comparison.over_groups else {})


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
