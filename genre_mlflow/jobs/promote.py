"""Making the challenger the champion if it is shown to be better, and taking that back."""

from dataclasses import dataclass
from datetime import UTC, datetime

from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.gate import judge
from genre_mlflow.evaluation.gate_settings import GateSettings
from genre_mlflow.files.names import escaped
from genre_mlflow.files.words import counted
from genre_mlflow.jobs.description import LEAKS, SHARED
from genre_mlflow.model.settings import CHAMPION, check_reason
from genre_mlflow.tracking.registry import (
    CHALLENGER,
    CROSS_VALIDATED,
    TEST_DIGEST,
    RegisteredModel,
    Version,
)
from genre_mlflow.tracking.store import find_store, store_errors

GATE = "gate"  # tag of a version: what was decided; its evidence is in tags `gate_...`
REPLACED = "replaced"  # tag of a version: the number of the champion that it took over from
DEFAULT = GateSettings()


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


def promote(
    name: str,
    *,
    version: str = "",
    force: bool = False,
    why: str = "",
    gate: GateSettings = DEFAULT,
) -> Promotion:
    """Make a version of `name` the champion if it passes the gate on the same test tracks.

    `version`: its number; empty for the challenger. `force` skips the gate and keeps `why` as a tag
    of the version, as the decision and its evidence are. Raises `ModelError` when there is no such
    version, or when it and the champion were tested on different tracks.
    """
    check_reason(force, why)
    find_store()
    model = RegisteredModel(name)
    with store_errors():
        challenger = model.get(version) if version else model.find(CHALLENGER)
        if challenger is None:
            raise ModelError(f"model {name!r} has no version with the alias {CHALLENGER}")
        champion = model.find(CHAMPION)
        if champion is not None and champion.version == challenger.version:
            return Promotion(False, f"version {champion.version} is the champion already")
        if force:
            model.set_tag(challenger, "forced_because", why)
            found = Promotion(
                True, f"version {challenger.version} is the champion now, because {why}"
            )
        elif champion is None:
            found = Promotion(True, "there was no champion")
        else:
            found = pass_gate(model, champion, challenger, gate)
        note_evidence(model, challenger, found, champion)
        if found.promoted:
            replace(model, champion, challenger)
        # Last, so that it is never said of a version that the alias did not go to.
        decision = "promoted" if found.promoted else "refused"
        model.set_tag(challenger, GATE, "forced" if force else decision)
    return found


def pass_gate(
    model: RegisteredModel, champion: Version, challenger: Version, gate: GateSettings
) -> Promotion:
    """The verdict on the test tracks that both were tested on."""
    check_tested(model, champion, challenger)
    digests = {model.tags(version).get(TEST_DIGEST) for version in (champion, challenger)}
    if len(digests) > 1 or None in digests:
        raise ModelError(
            f"versions {champion.version} (champion) and {challenger.version} of "
            f"{model.name!r} were tested on different tracks, so their accuracies say nothing "
            "about each other; train both on the same data and split, name other music's models "
            "otherwise (--model-name), or use --force --why TEXT"
        )
    leaks = model.tags(challenger).get(LEAKS)
    if leaks:
        return Promotion(
            False,
            f"version {challenger.version} was trained on a split with copies on two sides "
            f"({counted(int(leaks), 'group')}, let by --allow-leak), so its figures may say too "
            "much; train it on a split without, or use --force --why TEXT",
        )
    verdict = judge(model.test_predictions(challenger), model.test_predictions(champion), gate)
    return Promotion(
        verdict.passed,
        verdict.sentence(f"version {challenger.version}", f"version {champion.version}"),
        (*verdict.notes(), *leak_notes(model, champion, challenger)),
        verdict.evidence() | {"digest": str(digests.pop())},
    )


def check_tested(model: RegisteredModel, champion: Version, challenger: Version) -> None:
    """Raise `ModelError` where one of them was cross-validated, which leaves no test set."""
    by = {v.version: model.tags(v).get(CROSS_VALIDATED) for v in (challenger, champion)}
    untested = [f"version {number} ({folds})" for number, folds in by.items() if folds]
    if untested:
        verb = "was" if len(untested) == 1 else "were"
        raise ModelError(
            f"{' and '.join(untested)} of {model.name!r} {verb} cross-validated and kept no test "
            "set: such a figure cannot be compared with another model's; train with one, or use "
            "--force --why TEXT"
        )


def leak_notes(model: RegisteredModel, champion: Version, challenger: Version) -> list[str]:
    """What the splits of both had on two sides; it does not decide."""
    notes = []
    if model.tags(champion).get(LEAKS):
        notes.append(
            f"the split of the champion, version {champion.version}, had copies on two sides, so "
            "its figures may say too much"
        )
    shared = model.tags(challenger).get(SHARED)
    if shared:
        notes.append(
            f"the split of version {challenger.version} has {counted(int(shared), 'group')} of its "
            "table on two sides"
        )
    return notes


def note_evidence(
    model: RegisteredModel, challenger: Version, found: Promotion, champion: Version | None
) -> None:
    """Keep what a decision rests on as tags of the challenger, in place of an earlier one's."""
    values = {
        "reason": found.reason,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **({"against": str(champion.version)} if champion else {}),
        **(found.evidence or {}),
    }
    tags = {f"{GATE}_{key}": value for key, value in values.items()}
    earlier = (key for key in model.tags(challenger) if key.startswith(f"{GATE}_"))
    for key in set(earlier) - tags.keys():
        model.delete_tag(challenger, key)
    for key, value in tags.items():
        model.set_tag(challenger, key, value)


def replace(model: RegisteredModel, champion: Version | None, challenger: Version) -> None:
    """Give the alias to the challenger, which notes whom it had it from."""
    if champion is not None:
        model.set_tag(challenger, REPLACED, str(champion.version))
    elif REPLACED in model.tags(challenger):
        model.delete_tag(challenger, REPLACED)
    model.set_alias(CHAMPION, challenger)


@dataclass(frozen=True)
class Demotion:
    """What `demote` did."""

    demoted: bool
    reason: str


def demote(name: str) -> Demotion:
    """Make the version champion again that the champion took over from.

    A version that is taken back forgets it, so that a second call goes one step further back.
    Raises `ModelError` where there is no champion, or the earlier one was deleted.
    """
    find_store()
    model = RegisteredModel(name)
    with store_errors():
        champion = model.find(CHAMPION)
        if champion is None:
            raise ModelError(f"model {name!r} has no version with the alias {CHAMPION}")
        earlier = model.tags(champion).get(REPLACED)
        if earlier is None:
            return Demotion(
                False, f"version {champion.version} stays the champion, there was none before it"
            )
        model.set_alias(CHAMPION, model.get(earlier))
        model.delete_tag(champion, REPLACED)
        model.set_tag(champion, GATE, "demoted")
    return Demotion(
        True, f"version {earlier} is the champion again, version {champion.version} is not"
    )
