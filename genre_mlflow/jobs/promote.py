"""Making the challenger the champion if it is better."""

from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.metrics import accuracy
from genre_mlflow.evaluation.predictions import by_recording
from genre_mlflow.tracking.registry import (
    CHALLENGER,
    CHAMPION,
    TEST_DIGEST,
    find_alias,
    test_predictions,
)
from genre_mlflow.tracking.store import open_store, store_errors


@dataclass(frozen=True)
class Promotion:
    """What `promote` found and did."""

    promoted: bool
    reason: str


def promote(name: str, *, force: bool = False, why: str = "") -> Promotion:
    """Make the challenger of `name` the champion if it is more accurate on the same test tracks.

    `force` skips the comparison and keeps `why` as a tag of the version. Raises `ModelError` when
    there is no challenger, or when the two were tested on different tracks.
    """
    if force != bool(why):
        raise ModelError("--force and --why TEXT go together: a forced promotion keeps its reason")
    client = open_store()
    with store_errors():
        challenger = find_alias(client, name, CHALLENGER)
        if challenger is None:
            raise ModelError(f"model {name!r} has no version with the alias {CHALLENGER}")
        champion = find_alias(client, name, CHAMPION)
        if champion is not None and champion.version == challenger.version:
            return Promotion(False, f"version {champion.version} is the champion already")
        if force:
            client.set_model_version_tag(name, challenger.version, "forced_because", why)
            verdict = Promotion(
                True, f"version {challenger.version} is the champion now, because {why}"
            )
        elif champion is None:
            verdict = Promotion(True, "there was no champion")
        else:
            verdict = compare(client, champion, challenger)
        if verdict.promoted:
            client.set_registered_model_alias(name, CHAMPION, challenger.version)
    return verdict


def compare(client: MlflowClient, champion: ModelVersion, challenger: ModelVersion) -> Promotion:
    """Accuracy on the test tracks that both were tested on."""
    old, new = (client.get_model_version(v.name, v.version) for v in (champion, challenger))
    digests = {version.tags.get(TEST_DIGEST) for version in (old, new)}
    if len(digests) > 1 or None in digests:
        raise ModelError(
            f"versions {old.version} (champion) and {new.version} (challenger) of {old.name!r} "
            "were tested on different tracks, so their accuracies say nothing about each other; "
            "train both on the same data and split, or use --force --why TEXT"
        )
    before, after = (accuracy(by_recording(test_predictions(client, v))) for v in (old, new))
    how = (
        f"version {new.version} has {after:.1%} on the test set, "
        f"the champion, version {old.version}, has {before:.1%}"
    )
    return Promotion(after > before, how)
