"""The served model, logged as code: MLflow runs this file when it loads the model.

Input: a column `content` with the bytes of an image or a recording (base64 in JSON), told apart by
what they are. Output, one row for each: `genre`, `confidence`, `unsure` (the confidence is too low
for the precision that was asked for in training), `foreign` (it sounds like nothing that was learnt
from), both null where nobody knows, `probabilities` (the most probable genre first) and `segments`
(how many the recording was cut into; 1 for an image).
"""

import base64
import re
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
from mlflow.pyfunc.model import PythonModel

from genre_mlflow.errors import DataError
from genre_mlflow.features.audio import is_recording
from genre_mlflow.features.formats.kinds import is_image
from genre_mlflow.memory import MemoryShortage
from genre_mlflow.model.classifier import Classifier, Prediction

CONTENT = "content"  # the name that Spark's binaryFile source gives this column too
ARTIFACT = "classifier"
ON_ERROR = RAISE, ROW = "raise", "row"
TEXT = re.compile(rb"[A-Za-z0-9+/_\-\s]+={0,2}\s*")  # base64, also as it stands in addresses
URL_SAFE = bytes.maketrans(b"-_", b"+/")


class GenreModel(PythonModel):
    """A `Classifier` behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Read the classifier once, when the server starts."""
        self.classifier = Classifier.load(Path(context.artifacts[ARTIFACT])).settle()

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Genre of each row of `content`.

        `params["top_k"]`: how many genres `probabilities` lists; 0 for all. `["timeline"]`: one
        more column, with start, end (seconds) and probabilities of every segment. `["likely"]`: one
        more, with all likely genres, null where nobody knows. `["on_error"]`:
        what cannot be decoded raises an error that a server answers with status 400 (`raise`), or
        has an empty genre and a reason in one more column, `error` (`row`).
        """
        params = params or {}
        top_k = self.check_top_k(params.get("top_k", 0))
        on_error = params.get("on_error", RAISE)
        if on_error not in ON_ERROR:
            raise BadRequest(f"on_error is {on_error!r}; allowed are {', '.join(ON_ERROR)}")
        if len(model_input) == 0:
            raise BadRequest(f"no rows were sent; send one file or more in column {CONTENT!r}")
        rows = [self.answer(i, x, on_error) for i, x in enumerate(model_input[CONTENT])]
        table = {
            "genre": [p.genre if p else "" for p, _ in rows],
            # Objects, or pandas would make a NaN of None, which JSON does not have.
            "confidence": pd.Series([p.confidence if p else None for p, _ in rows], dtype=object),
            "unsure": pd.Series([p.unsure if p else None for p, _ in rows], dtype=object),
            "foreign": pd.Series([p.foreign if p else None for p, _ in rows], dtype=object),
            "probabilities": [p.top(top_k) if p else {} for p, _ in rows],
            "segments": [len(p.timeline) if p else 0 for p, _ in rows],
        }
        if params.get("timeline", False):
            table["timeline"] = [timeline(p, top_k) if p else [] for p, _ in rows]
        if params.get("likely", False):
            found = [list(p.likely) if p and p.likely else None for p, _ in rows]
            table["likely"] = pd.Series(found, dtype=object)
        if on_error == ROW:
            table["error"] = [error for _, error in rows]
        return pd.DataFrame(table)

    def answer(self, row: int, content: Any, on_error: str) -> tuple[Prediction | None, str]:
        """Genre of one file and an empty error, or no genre and what is wrong with the file."""
        try:
            pixels, times = self.classifier.preprocessor.timed(content_of(content))
            return self.classifier.predict_pixels(pixels, times), ""
        except DataError as error:
            if on_error == ROW:
                return None, str(error)
            raise BadRequest(f"row {row} of {CONTENT!r} {error}") from error
        except MemoryShortage as error:
            raise Overloaded(str(error)) from error

    def check_top_k(self, top_k: int | None) -> int:
        """Number of genres to list."""
        n_genres = len(self.classifier.genres)
        if top_k is None or not 0 <= top_k <= n_genres:
            raise BadRequest(f"top_k is {top_k}; allowed are 0 (all) to {n_genres}")
        return top_k or n_genres


def content_of(sent: Any) -> bytes:
    """The bytes of a file, which are sent as they are or as base64 of either alphabet.

    Raises `DataError` for anything else, and never repeats it.
    """
    if isinstance(sent, bytes | bytearray):
        data = bytes(sent)
        found = decoded(data) if TEXT.fullmatch(data) else None
        return found if found and (is_image(found) or is_recording(found)) else data
    if isinstance(sent, str):
        found = decoded_at_once(sent)
        if found is None:
            data = sent.encode()
            found = decoded(data) if TEXT.fullmatch(data) else None
        if found is None:
            raise DataError(f"is text of {len(sent):,} letters that is no base64")
        return found
    is_null = pd.api.types.is_scalar(sent) and pd.isna(sent)
    kind = "null" if is_null else type(sent).__name__
    raise DataError(f"is {kind}; send a file as base64")


def decoded_at_once(text: str) -> bytes | None:
    """The same as `decoded`, of base64 as most send it: a song is a million letters."""
    try:
        return None if text.endswith("===") else base64.b64decode(text, validate=True)
    except ValueError:
        return None


def decoded(text: bytes) -> bytes | None:
    """What base64 stands for; None where its letters or their number are wrong."""
    letters = b"".join(text.split()).translate(URL_SAFE)
    missing = -len(letters) % 4  # addresses often lack the signs of equality at the end
    try:
        return base64.b64decode(letters + b"=" * (missing if missing < 3 else 0), validate=True)
    except ValueError:
        return None


def timeline(prediction: Prediction, top_k: int) -> list[dict[str, Any]]:
    """Each segment with its times in seconds and its most probable genres."""
    return [
        {
            "start_s": round(segment.start_s, 3),
            "end_s": round(segment.end_s, 3),
            "probabilities": Prediction(segment.probabilities).top(top_k),
        }
        for segment in prediction.timeline
    ]


class Refusal(MlflowException):
    """An error that MLflow's server answers with the status of its `code`.

    The server puts all that was sent in front of the message; this one keeps its own.
    """

    code: int

    def __init__(self, sentence: str) -> None:
        self.sentence = f"{sentence}."
        super().__init__(self.sentence, error_code=self.code)

    @property
    def message(self) -> str:
        """The sentence."""
        return self.sentence

    @message.setter
    def message(self, text: str) -> None:
        """What MLflow would say in its place."""


class BadRequest(Refusal):
    """What was sent cannot be answered: status 400."""

    code = INVALID_PARAMETER_VALUE


class Overloaded(Refusal):
    """The server lacks the memory: status 503."""

    code = TEMPORARILY_UNAVAILABLE


set_model(GenreModel())
