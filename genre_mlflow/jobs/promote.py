"""Making the challenger the champion if it is shown to be better, and taking that back."""

from dataclasses import dataclass, replace

from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.gate_settings import GateSettings
from genre_mlflow.jobs.decision import (
    DEMOTED,
    FORCED,
    PROMOTED,
    REFUSED,
    Promotion,
    note_decision,
    note_evidence,
)
from genre_mlflow.jobs.gate import pass_gate
from genre_mlflow.model.settings import CHAMPION, check_reason
from genre_mlflow.tracking.locks import champion_lock
from genre_mlflow.tracking.registry import CHALLENGER, RegisteredModel, Version
from genre_mlflow.tracking.store import find_store, store_errors

REPLACED = "replaced"  # tag of a version: the number of the champion that it took over from
DEFAULT = GateSettings()


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
    of the version, with the decision and its evidence. Raises `ModelError` when there is no such
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
        if is_one(champion, challenger):
            return already(challenger)
        if force:
            return force_through(model, challenger, why)
        return decide(model, champion, challenger, pass_gate(model, champion, challenger, gate))


def force_through(model: RegisteredModel, challenger: Version, why: str) -> Promotion:
    """Make a version the champion, whoever is it now."""
    with champion_lock():
        champion = model.find(CHAMPION)
        if is_one(champion, challenger):
            return already(challenger)
        reason = f"version {challenger.version} is the champion now, because {why}"
        found = Promotion(True, reason, evidence={"forced_because": why})
        note_evidence(model, challenger, found, champion)
        hand_over(model, champion, challenger)
        note_decision(model, challenger, FORCED, found.reason)
        return read_back(model, challenger, found)


def decide(
    model: RegisteredModel, judged: Version | None, challenger: Version, found: Promotion
) -> Promotion:
    """Keep what was found, and act on it if the champion that was `judged` is still the champion.

    Judging takes its time, and others may promote meanwhile.
    """
    with champion_lock():
        if is_one(model.find(CHAMPION), challenger):
            return already(challenger)
        note_evidence(model, challenger, found, judged)
        # Through a server, which knows no lock, little must happen between this look and the act.
        champion = model.find(CHAMPION)
        if is_one(champion, challenger):
            return already(challenger)
        if found.promoted and not is_one(champion, judged):
            found = overtaken(challenger, judged, champion, found)
            note_evidence(model, challenger, found, judged)
        if found.promoted:
            hand_over(model, champion, challenger)
        # Last, so that it is never said of a version that the alias did not go to.
        note_decision(model, challenger, PROMOTED if found.promoted else REFUSED, found.reason)
        return read_back(model, challenger, found) if found.promoted else found


def is_one(version: Version | None, other: Version | None) -> bool:
    """Whether both are the same version, or both are none."""
    return (version and str(version.version)) == (other and str(other.version))


def already(challenger: Version) -> Promotion:
    """What is said of a challenger that needs no promotion."""
    return Promotion(False, f"version {challenger.version} is the champion already")


def overtaken(
    challenger: Version, judged: Version | None, champion: Version | None, found: Promotion
) -> Promotion:
    """The refusal of a challenger that has beaten who is the champion no longer."""
    before, after = (f"version {v.version}" if v else "none" for v in (judged, champion))
    reason = (
        f"the champion changed while version {challenger.version} was judged, from {before} to "
        f"{after}; promote it again to have it judged against that"
    )
    return replace(found, promoted=False, reason=reason)


def hand_over(model: RegisteredModel, champion: Version | None, challenger: Version) -> None:
    """Give the alias to the challenger, which notes whom it had it from."""
    if champion is not None:
        model.set_tag(challenger, REPLACED, str(champion.version))
    elif REPLACED in model.tags(challenger):
        model.delete_tag(challenger, REPLACED)
    model.set_alias(CHAMPION, challenger)


def read_back(model: RegisteredModel, challenger: Version, found: Promotion) -> Promotion:
    """Tell whom another promotion has overtaken: through a server, no lock keeps it out."""
    champion = model.find(CHAMPION)
    if is_one(champion, challenger):
        return found
    lost = overtaken(challenger, challenger, champion, found)
    if REPLACED in model.tags(challenger):
        model.delete_tag(challenger, REPLACED)
    note_evidence(model, challenger, lost, champion)
    note_decision(model, challenger, REFUSED, lost.reason)
    return lost


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
    with store_errors(), champion_lock():
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
        reason = f"version {earlier} is the champion again, version {champion.version} is not"
        note_decision(model, champion, DEMOTED, reason)
    return Demotion(True, reason)
