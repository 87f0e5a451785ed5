"""Making the challenger the champion if it is better."""

from dataclasses import dataclass

from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.metrics import accuracy
from genre_mlflow.evaluation.predictions import by_recording
from genre_mlflow.model.settings import CHAMPION, check_reason
from genre_mlflow.tracking.registry import CHALLENGER, TEST_DIGEST, RegisteredModel, Version
from genre_mlflow.tracking.store import find_store, store_errors


@dataclass(frozen=True)
class Promotion:
    """What `promote` found and did."""

    promoted: bool
    reason: str


def promote(name: str, *, version: str = "", force: bool = False, why: str = "") -> Promotion:
    """Make a version of `name` the champion if it is more accurate on the same test tracks.

    `version`: its number; empty for the challenger. `force` skips the comparison and keeps `why`
    as a tag of the version. Raises `ModelError` when there is no such version, or when it and the
    champion were tested on different tracks.
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
            verdict = Promotion(
                True, f"version {challenger.version} is the champion now, because {why}"
            )
        elif champion is None:
            verdict = Promotion(True, "there was no champion")
        else:
            verdict = compare(model, champion, challenger)
        if verdict.promoted:
            model.set_alias(CHAMPION, challenger)
    return verdict


def compare(model: RegisteredModel, champion: Version, challenger: Version) -> Promotion:
    """Accuracy on the test tracks that both were tested on."""
    digests = {model.tags(version).get(TEST_DIGEST) for version in (champion, challenger)}
    if len(digests) > 1 or None in digests:
        raise ModelError(
            f"versions {champion.version} (champion) and {challenger.version} of "
            f"{model.name!r} were tested on different tracks, so their accuracies say nothing "
            "about each other; train both on the same data and split, name other music's models "
            "otherwise (--model-name), or use --force --why TEXT"
        )
    before, after = (
        accuracy(by_recording(model.test_predictions(v))) for v in (champion, challenger)
    )
    how = (
        f"version {challenger.version} has {after:.1%} on the test set, "
        f"the champion, version {champion.version}, has {before:.1%}"
    )
    return Promotion(after > before, how)
