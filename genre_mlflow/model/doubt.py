"""When a classifier does not know: thresholds that its probabilities are held against."""

from collections.abc import Mapping
from dataclasses import dataclass

NEVER = 2.0  # more than any confidence


@dataclass(frozen=True)
class Doubt:
    """Thresholds, chosen on tracks that were held out; None where nobody could choose them.

    `sure_from`: the confidence from which on an answer is sure; `NEVER` where none is.
    `likely_from`: the probability from which on a genre is likely.
    """

    sure_from: float | None
    likely_from: float | None

    def is_unsure(self, confidence: float) -> bool | None:
        """Whether an answer of this confidence is too often wrong; None where nobody knows."""
        return None if self.sure_from is None else confidence < self.sure_from

    def likely(self, probabilities: Mapping[str, float]) -> tuple[str, ...] | None:
        """All likely genres, the most probable first, which always is one; None as above."""
        if self.likely_from is None:
            return None
        ranked = sorted(probabilities, key=lambda genre: -probabilities[genre])
        others = [genre for genre in ranked[1:] if probabilities[genre] >= self.likely_from]
        return (ranked[0], *others)


UNKNOWN = Doubt(None, None)
