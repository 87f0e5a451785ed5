"""What the gate has decided of a version, and where that is kept: its tags and its description."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from genre_mlflow.files.names import escaped
from genre_mlflow.tracking.registry import RegisteredModel, Version

GATE = "gate"  # tag of a version: what was decided; its evidence is in tags `gate_...`
PROMOTED, REFUSED, FORCED, DEMOTED = "promoted", "refused", "forced", "demoted"
LINE = re.compile(r"(?:^|\n+)\*\*Gate\*\*: .*")  # of a description
LONGEST = 5000  # letters of a description, MLflow's own limit
SHORTEST = 100  # letters of a line that is worth its place


@dataclass(frozen=True)
class Promotion:
    """What `promote` found and did; `notes` did not decide. `evidence` is kept as tags."""

    promoted: bool
    reason: str
    notes: tuple[str, ...] = ()
    evidence: dict[str, str] | None = None

    def message(self) -> str:
        """What is printed."""
        head = f"{'Promoted' if self.promoted else 'Not promoted'}: {self.reason}"
        return escaped("\n".join([head, *(f"Note: {note}" for note in self.notes)]), keep="\n")


def note_evidence(
    model: RegisteredModel, challenger: Version, found: Promotion, champion: Version | None
) -> None:
    """Keep what a decision rests on as tags of the challenger, in place of an earlier one's."""
    values = {
        "reason": found.reason,
        "date": now(),
        **({"against": str(champion.version)} if champion else {}),
        **(found.evidence or {}),
    }
    tags = {f"{GATE}_{key}": value for key, value in values.items()}
    earlier = (key for key in model.tags(challenger) if key.startswith(f"{GATE}_"))
    for key in set(earlier) - tags.keys():
        model.delete_tag(challenger, key)
    for key, value in tags.items():
        model.set_tag(challenger, key, value)


def note_decision(model: RegisteredModel, version: Version, decision: str, reason: str) -> None:
    """Keep what was decided, as a tag and as the last line of the version's description."""
    model.set_tag(version, GATE, decision)
    words = f"{decision}, {now()}: {reason}"
    model.describe(version, with_line(model.description(version), words))


def with_line(description: str, words: str) -> str:
    """A description with what the gate says at its end, in place of what it said before.

    Where people have left little room the line is cut; where they have left none there is none,
    which is better than an earlier decision's.
    """
    rest = LINE.sub("", description).strip()
    before = f"{rest}\n\n" if rest else ""
    room = LONGEST - len(before)
    if room < SHORTEST:
        return rest
    line = f"**Gate**: {' '.join(words.split())}"
    return before + (line if len(line) <= room else f"{line[: room - 4]} ...")


def now() -> str:
    """The time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
