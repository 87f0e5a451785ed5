"""Which errors of a store may pass, and how long it is asked beside a training."""

import logging
from collections.abc import Callable
from typing import TypeVar

import requests
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from genre_mlflow.errors import GenreError, ModelError
from genre_mlflow.tracking.store import environment, first_words, open_store

# Asked once, and again later, when what has arrived was read back: MLflow's own repetitions would
# hold up everything else for minutes, and double a checkpoint whose answer was lost.
BESIDE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
AT_END = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
# MLflow's words for what a second attempt will not mend.
LASTING = (
    "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "PERMISSION_DENIED",
    "UNAUTHENTICATED", "RESOURCE_ALREADY_EXISTS", "FEATURE_DISABLED", "NOT_FOUND",
    "ENDPOINT_NOT_FOUND", "RESOURCE_LIMIT_EXCEEDED",
)  # fmt: skip
TIMEOUT, TOO_MANY, SERVER_ERROR = 408, 429, 500  # status codes of HTTP
ARTIFACT_STORES = ("boto3", "botocore", "google", "azure")  # whose errors are their own
LONGEST = 160  # letters
T = TypeVar("T")

logger = logging.getLogger(__name__)


def is_passing(error: Exception) -> bool:
    """Whether a store may take at another time what it has refused: it is gone, slow or full."""
    if isinstance(error, GenreError):  # our own words for what a library has said, or for nothing
        return isinstance(error.__cause__, Exception) and is_passing(error.__cause__)
    if isinstance(error, MlflowException):
        return error.error_code not in LASTING
    if isinstance(error, requests.HTTPError) and error.response is not None:
        status = error.response.status_code
        return status >= SERVER_ERROR or status in (TIMEOUT, TOO_MANY)
    if type(error).__module__.partition(".")[0] in ARTIFACT_STORES:
        return True
    return isinstance(error, (OSError, requests.RequestException, SQLAlchemyError))


def why(error: Exception) -> str:
    """What has gone wrong, in a few words."""
    words = first_words(str(getattr(error, "message", "")) or error) or type(error).__name__
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}..."


def is_reachable() -> bool:
    """Whether the store answers now: what has failed was something else, as this disk."""
    try:
        with environment(BESIDE):
            open_store()
    except ModelError:
        return False
    return True


def unless_gone(write: Callable[[], T]) -> T | None:
    """What `write` returns, which may be repeated; None where the store is gone.

    An answer that was lost is no outage: a second attempt reads back what has arrived.
    """
    for is_last in (False, True):
        try:
            with environment(AT_END):
                return write()
        except Exception as error:  # artifact stores have exceptions of their own
            if not is_passing(error):
                raise
            logger.warning("The MLflow store has failed (%s)", why(error))
            if not is_reachable():
                return None
            if is_last:
                raise ModelError(f"the MLflow store has failed ({why(error)})") from error
    return None
