"""What the registry says of its models' versions: what they are called and what they are worth."""

from dataclasses import dataclass
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from genre_mlflow.errors import ModelError
from genre_mlflow.tracking.registry import CROSS_VALIDATED, TEST_DIGEST, source_id
from genre_mlflow.tracking.store import NOT_THERE, find_store, store_errors

PER_PAGE = 100
ACCURACY = "test_accuracy"
FOLDS_PREFIX = f"{CROSS_VALIDATED}_"  # of figures that the folds say of a model, none its own
FOLDS_ACCURACY = f"{FOLDS_PREFIX}accuracy"


@dataclass(frozen=True)
class VersionFacts:
    """A version with its aliases, and its accuracy on its test set with the 95 % interval, 0 to 1.

    Shares are None where they are not recorded, texts empty. `digest` tells test sets apart; one
    that has `folds` has none: its accuracy is that of trainings of its recipe on these.
    """

    name: str
    version: int
    aliases: list[str]
    accuracy: float | None
    low: float | None
    high: float | None
    digest: str
    folds: str
    corpus: str
    created: datetime


def list_versions(name: str = "") -> list[VersionFacts]:
    """All versions of a registered model, or of each, the newest of a name first.

    Raises `ModelError` where there is none.
    """
    find_store()
    client = MlflowClient()
    with store_errors():
        names = [name] if name else names_of(client)
        found = [facts for one in names for facts in versions_of(client, one)]
    if not found:
        what = f"model {name!r} has no versions" if name else "this store has no registered models"
        raise ModelError(f"{what}; train registers one")
    return found


def names_of(client: MlflowClient) -> list[str]:
    """Names of the registered models, in the alphabet's order."""
    names, token = [], None
    while True:
        page = client.search_registered_models(max_results=PER_PAGE, page_token=token)
        names += [model.name for model in page]
        token = page.token
        if not token:
            return sorted(names)


def versions_of(client: MlflowClient, name: str) -> list[VersionFacts]:
    """The versions of one name, the newest first. Raises `ModelError` where there is no model."""
    try:
        aliases: dict[str, str] = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code not in NOT_THERE:
            raise
        raise ModelError(f"there is no registered model {name!r} in this store") from error
    versions, token = [], None
    while True:
        words = f"name = '{name}'"
        page = client.search_model_versions(words, max_results=PER_PAGE, page_token=token)
        versions += list(page)
        token = page.token
        if not token:
            break
    newest = sorted(versions, key=lambda version: -int(version.version))
    return [facts_of(client, version, aliases) for version in newest]


def facts_of(client: MlflowClient, version: ModelVersion, aliases: dict[str, str]) -> VersionFacts:
    """One version; its figures are those of its logged model, else of its tag."""
    metrics, folds = metrics_of(client, version), version.tags.get(CROSS_VALIDATED, "")
    accuracy = FOLDS_ACCURACY if folds else ACCURACY
    return VersionFacts(
        name=version.name,
        version=int(version.version),
        aliases=sorted(a for a, number in aliases.items() if str(number) == str(version.version)),
        accuracy=metrics.get(accuracy, number_in(version.tags.get(accuracy, ""))),
        low=metrics.get(f"{accuracy}_low"),
        high=metrics.get(f"{accuracy}_high"),
        digest=version.tags.get(TEST_DIGEST, ""),
        folds=folds,
        corpus=version.tags.get("corpus", ""),
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
    )


def number_in(text: str) -> float | None:
    """The number that a tag holds, which people may have edited; None where it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def metrics_of(client: MlflowClient, version: ModelVersion) -> dict[str, float]:
    """The metrics of the logged model behind a version; none where it is gone."""
    try:
        model = client.get_logged_model(source_id(version))
    except MlflowException as error:
        if error.error_code not in NOT_THERE:
            raise
        return {}
    return {metric.key: metric.value for metric in model.metrics or ()}
