"""The served model, logged as code: MLflow runs this file when it loads the model.

Input: a column `content` with the bytes of an image (base64 in JSON). Output, one row for each:
`genre`, `confidence` and `probabilities`, the most probable genre first.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel

from genre_mlflow.errors import DataError
from genre_mlflow.model.classifier import Classifier, Prediction

CONTENT = "content"  # the name that Spark's binaryFile source gives this column too
ARTIFACT = "classifier"


class GenreModel(PythonModel):
    """A `Classifier` behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Read the classifier once, when the server starts."""
        self.classifier = Classifier.load(Path(context.artifacts[ARTIFACT]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Genre of each row of `content`.

        `params["top_k"]`: how many genres `probabilities` lists; 0 for all. What cannot be
        decoded raises an error that a server answers with status 400.
        """
        top_k = self.check_top_k((params or {}).get("top_k", 0))
        if len(model_input) == 0:
            raise bad_request(f"no rows were sent; send one image or more in column {CONTENT!r}")
        predictions = [self.predict_row(i, x) for i, x in enumerate(model_input[CONTENT])]
        return pd.DataFrame(
            {
                "genre": [p.genre for p in predictions],
                "confidence": [p.confidence for p in predictions],
                "probabilities": [p.top(top_k) for p in predictions],
            }
        )

    def check_top_k(self, top_k: int) -> int:
        """Number of genres to list."""
        n_genres = len(self.classifier.genres)
        if not 0 <= top_k <= n_genres:
            raise bad_request(f"top_k is {top_k}; allowed are 0 (all) to {n_genres}")
        return top_k or n_genres

    def predict_row(self, row: int, content: Any) -> Prediction:
        """Genre of one image, or an error that names its row."""
        if not isinstance(content, bytes | bytearray):
            raise bad_request(
                f"row {row} of {CONTENT!r} is {type(content).__name__}; send an image as base64"
            )
        try:
            return self.classifier.predict_pixels(self.classifier.preprocessor(bytes(content)))
        except DataError as error:
            raise bad_request(f"row {row} of {CONTENT!r} {error}") from error


def bad_request(message: str) -> MlflowException:
    """An error that MLflow's server answers with status 400."""
    return MlflowException(f"{message}.", error_code=INVALID_PARAMETER_VALUE)


set_model(GenreModel())
