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

from genre_mlflow.corpus.folders import BadFile
from genre_mlflow.errors import ModelError
from genre_mlflow.files.home import home
from genre_mlflow.library.predict import DOUBTS, Predictor, Row, is_text
from genre_mlflow.library.spark_session import MAX_BYTES, spark_session
from genre_mlflow.library.spark_workers import given_up_without_workers, is_local
from genre_mlflow.served_model import CONTENT
from genre_mlflow.tracking.artifacts import fetched
from genre_mlflow.tracking.store import open_store

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

CHUNK = 1000  # files a job, at the least; a chunk's answers are all that the driver holds
CHUNK_PER_CORE = 50
ANSWER = (
    "genre string, segments long, error string, probabilities map<string, double>, "
    "unsure boolean, foreign boolean, likely array<string>"
)

Predict = Callable[[str], "Column"]


def predict_with_spark(
    files: Sequence[Path | BadFile], predictor: Predictor, model: str, master: str
) -> Iterator[Row]:
    """The rows of `Predictor.predict_files`, in the order of the files.

    What Spark leaves out without a word (what is empty, gone, too large for its rows, or cannot be
    read) is read by this process, so that it has the same row. On a cluster all machines must see
    the files, and the folder `GENRE_HOME`, under the same paths, and have the packages that the
    model needs.

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
            with (
                links_to(chunk, None if is_local(master) else home()) as links,
                given_up_without_workers(spark.sparkContext),
            ):
                answers = score(spark, predict, links)
            for number, file in enumerate(chunk):
                if number in answers:
                    yield row(predictor, file, answers[number])
                else:
                    yield predictor.predict_file(file)


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
            params={"on_error": "row", "likely": True},
        )  # fmt: skip
    finally:
        logger.setLevel(level)


@contextmanager
def links_to(files: Sequence[Path | BadFile], parent: Path | None) -> Iterator[Path]:
    """A folder with one link a file, whose name is the file's number, until the block ends.

    What has no row of an answer anyway has no link.
    """
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="spark-links-", dir=parent) as folder:
        os.chmod(folder, 0o755)  # the workers of a cluster may be another user's
        for number, file in enumerate(files):
            if isinstance(file, Path) and is_text(file):
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


def row(predictor: Predictor, file: Path | BadFile, answer: dict[str, Any]) -> Row:
    """The row of a file that Spark has read."""
    if answer["error"] or isinstance(file, BadFile):
        return predictor.failure(file, answer["error"])
    doubts = {name: answer[name] for name in DOUBTS}
    return predictor.success(file, answer["probabilities"], answer["segments"], doubts)
