"""Genres of files on many machines: MLflow's `spark_udf` over Spark's `binaryFile` source.

Spark is given a folder of numbered links, never the names of the files: it takes `[x]`, `{a,b}`,
`*` and `?` for patterns, leaves out names that begin with `_` or `.`, does not find those with a
colon, and its Java cannot open all names in every locale.
"""

import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.models import Model
from mlflow.models.model import MLMODEL_FILE_NAME

from genre_mlflow.errors import ModelError
from genre_mlflow.evaluation.predictions import PROBABILITY
from genre_mlflow.files import home
from genre_mlflow.mlops.serving_model import CONTENT
from genre_mlflow.mlops.spark_session import MAX_BYTES, is_local, spark_session
from genre_mlflow.mlops.store import fetched, open_store

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

CHUNK = 1000  # files a job, at the least; a chunk's answers are all that the driver holds
CHUNK_PER_CORE = 50
ANSWER = (
    "genre string, confidence double, segments long, error string, "
    "probabilities map<string, double>"
)
NO_ANSWER: dict[str, Any] = {"genre": "", "confidence": None, "segments": 0, "probabilities": {}}
NAN = float("nan")

Predict = Callable[[str], "Column"]


def predict_with_spark(
    files: Sequence[Path], model: str, master: str, genres: Sequence[str]
) -> Iterator[dict[str, object]]:
    """One row a file, in the order of `files`: `path, genre, confidence, segments, error, p_...`.

    A file that cannot be read or decoded is a row with an `error` and no genre. `genres` names the
    columns `p_<genre>`. On a cluster all machines must see the files, and the folder `GENRE_HOME`,
    under the same paths, and have the packages that the model needs.

    Raises `ModelError` for a model that does not fit and for a job that fails, `SettingsError` for
    a master that cannot be used and where pyspark or Java is missing.
    """
    with (
        tempfile.TemporaryDirectory() as own,
        model_folder(model) as folder,
        spark_session(master, Path(own)) as spark,
    ):
        predict = udf(spark, folder)
        size = max(CHUNK, CHUNK_PER_CORE * spark.sparkContext.defaultParallelism)
        for start in range(0, len(files), size):
            chunk = files[start : start + size]
            with links_to(chunk, None if is_local(master) else home()) as links:
                answers = score(spark, predict, links)
            for number, file in enumerate(chunk):
                yield row(file, answers.get(number), genres)


@contextmanager
def model_folder(model: str) -> Iterator[Path]:
    """The files of a model that answers a bad file with a row. Raises `ModelError`."""
    if ":/" in model:
        open_store()
    with fetched(model) as folder:
        if not (folder / MLMODEL_FILE_NAME).exists():
            raise ModelError(
                f"{model} cannot be used with Spark: it has no {MLMODEL_FILE_NAME}; "
                "registered versions have"
            )
        signature = Model.load(str(folder / MLMODEL_FILE_NAME)).signature
        params = signature.params.params if signature and signature.params else []
        if "on_error" not in {param.name for param in params}:
            raise ModelError(
                f"{model} knows no parameter on_error, so that one bad file would end the whole "
                "job; register it anew with this version"
            )
        yield folder


def udf(spark: "SparkSession", folder: Path) -> Predict:
    """The model as a function of a column of bytes."""
    logger = logging.getLogger("mlflow.pyfunc")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it advises an environment of the model's own, minutes of work
    try:
        return mlflow.pyfunc.spark_udf(
            spark, str(folder), result_type=ANSWER, env_manager="local",
            params={"on_error": "row"},
        )  # fmt: skip
    finally:
        logger.setLevel(level)


@contextmanager
def links_to(files: Sequence[Path], parent: Path | None) -> Iterator[Path]:
    """A folder with one link a file, whose name is the file's number, until the block ends."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="spark-links-", dir=parent) as folder:
        os.chmod(folder, 0o755)  # the workers of a cluster may be another user's
        for number, file in enumerate(files):
            os.symlink(file.absolute(), Path(folder, str(number)))
        yield Path(folder)


def score(spark: "SparkSession", predict: Predict, links: Path) -> dict[int, dict[str, Any]]:
    """The model's answers by the number of the link; no number for what Spark could not read."""
    address = re.sub(r"[\\{}\[\]*?]", r"\\\g<0>", f"file://{links}")
    content = spark.read.format("binaryFile").load(address)
    rows = (
        content.where(content["length"] <= MAX_BYTES)  # a longer one would fail the job
        .select("path", predict(CONTENT).alias("answer"))
        .collect()
    )
    return {int(row["path"].rpartition("/")[2]): row["answer"].asDict() for row in rows}


def row(file: Path, answer: dict[str, Any] | None, genres: Sequence[str]) -> dict[str, object]:
    """One row of the table."""
    found = {**NO_ANSWER, "error": why_unread(file)} if answer is None else answer
    confidence, probabilities = found["confidence"], found["probabilities"]
    return {
        "path": str(file),
        "genre": found["genre"],
        "confidence": NAN if confidence is None else confidence,
        "segments": found["segments"],
        "error": found["error"],
        **{f"{PROBABILITY}{genre}": probabilities.get(genre, NAN) for genre in genres},
    }


def why_unread(file: Path) -> str:
    """What is the matter with a file that Spark left out without a word."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            start = stream.read(1)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if size > MAX_BYTES:
        return f"has {size:,} bytes; at most {MAX_BYTES:,} are read"
    return "cannot be read by the workers" if start else "is empty"
