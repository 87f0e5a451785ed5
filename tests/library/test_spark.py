"""Scoring with Spark, for real on two cores of this machine, against the engine without it."""

import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sounds import encode, tone
from support import Trained

from genre_mlflow.errors import ModelError, SettingsError
from genre_mlflow.library import spark, spark_session
from genre_mlflow.library.files import name_of
from genre_mlflow.library.predict import Row, open_predictor
from genre_mlflow.library.spark import predict_with_spark
from genre_mlflow.library.spark_session import check_installed, check_master, reason_of

MODEL = "models:/genre-classifier@champion"
ODD_NAMES = [
    "a b.png", "emoji 🎸.png", "x[1].png", "{a,b}.png", "st*r.png", "q?.png", "h#sh.png",
    "p%20.png", "co:lon.png", "_leading.png", "two.dots.png", "back\\slash.png", "new\nline.png",
    "no ending", "quo'te\".png",
]  # fmt: skip


def library(trained: Trained, folder: Path) -> list[Path]:
    """Good images with odd names, bad files of each kind, and one good file twice."""
    folder.mkdir()
    images = sorted((trained.folder / "music").rglob("*.png"))
    for name, image in zip(ODD_NAMES, images, strict=False):
        shutil.copy(image, folder / name)
    shutil.copy(images[-1], Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.png")))
    (folder / "song.mp3").write_bytes(encode(tone(2.0), "MP3"))
    (folder / "long.wav").write_bytes(encode(tone(75.0)))  # too large for a row of Spark's
    (folder / "silent.wav").write_bytes(encode(0 * tone(2.0)))
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no image")
    (folder / "cut.png").write_bytes(images[0].read_bytes()[:500])
    (folder / "large.png").write_bytes(bytes(spark.MAX_BYTES + 1))
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "denied.png").write_bytes(images[0].read_bytes())
    (folder / "denied.png").chmod(0)
    found = sorted(folder.iterdir())
    return [*found, found[0], folder]


@pytest.fixture(scope="module")
def folder(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working folder of the tests with Spark, with a small limit for the size of a file."""
    try:
        check_installed()
    except SettingsError as error:
        pytest.skip(str(error))
    here = tmp_path_factory.mktemp("with [x] é")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setattr(spark, "MAX_BYTES", 100_000)
        yield here


def score(files: Sequence[Path], master: str = "local[2]") -> list[Row]:
    with open_predictor(MODEL) as predictor:
        return list(predict_with_spark(files, predictor, MODEL, master))


def processes_below() -> str:
    """The processes that this one has started."""
    command = ["ps", "-o", "args=", "--ppid", str(os.getpid())]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_rows_equal_those_of_the_local_engine_whatever_the_name_or_the_damage(
    trained: Trained,
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.WARNING, "mlflow")  # as the command line does
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setattr(spark, "CHUNK", 10)  # several jobs
    monkeypatch.setattr(spark, "CHUNK_PER_CORE", 1)
    before = signal.getsignal(signal.SIGINT), os.environ.get("PYSPARK_PYTHON")
    files = library(trained, folder / "music")
    with open_predictor(MODEL) as predictor:
        local = list(predictor.predict_files(files, 1))
    capfd.readouterr()
    rows = score(files)
    assert capfd.readouterr() == ("", "")
    assert [row["path"] for row in rows] == [name_of(file) for file in files]
    for expected, row in zip(local, rows, strict=True):
        numbers = {k for k, v in expected.items() if isinstance(v, float)}
        assert {k: v for k, v in row.items() if k not in numbers} == {
            k: v for k, v in expected.items() if k not in numbers
        }
        for column in numbers:
            assert row[column] == pytest.approx(expected[column], abs=2e-6), row["path"]
    assert {row["segments"] for row in rows} == {0, 1, 3}
    errors = {Path(str(row["path"])).name for row in rows if row["error"]}
    bad = {
        "empty.png", "text.png", "cut.png", "large.png", "gone.png", "music", "silent.wav",
        "\\xff\\xfe.png",
    }  # fmt: skip
    assert errors == bad | ({"denied.png"} if os.geteuid() else set())  # root reads everything
    assert before == (signal.getsignal(signal.SIGINT), os.environ.get("PYSPARK_PYTHON"))
    assert "java" not in processes_below()
    assert [path.name for path in folder.iterdir()] == ["music"]


@pytest.mark.slow
def test_files_that_are_gone_or_go_while_spark_works_and_no_files_at_all_are_no_failure(
    trained: Trained, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving = folder / "leaving.png"
    shutil.copy(next((trained.folder / "music").rglob("*.png")), leaving)
    make_udf = spark.udf

    def udf(*arguments: Any) -> spark.Predict:
        def predict(column: str) -> Any:  # called when Spark has listed the files
            leaving.unlink()
            return make_udf(*arguments)(column)

        return predict

    monkeypatch.setattr(spark, "udf", udf)
    rows = score([folder / "nowhere.png", leaving])
    assert [row["error"] for row in rows] == ["cannot be read: No such file or directory"] * 2
    assert score([]) == []


@pytest.mark.slow
def test_session_that_runs_already_is_lent_and_goes_on_as_it_was(
    trained: Trained, folder: Path
) -> None:
    from pyspark.sql import SparkSession

    image = next((trained.folder / "music").rglob("*.png"))
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    with spark_session.python_of_workers(), spark_session.interrupts_as_before():
        session = builder.config("spark.sql.warehouse.dir", str(folder / "own")).getOrCreate()
        try:
            (row,) = score([image], "local[1]")
            assert row["error"] == ""
            with pytest.raises(SettingsError, match=r"Spark runs here already, on 'local\[1\]'"):
                score([image], "local[2]")
            assert session.range(3).count() == 3
            batch = session.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch")
            assert batch == "10000"
        finally:
            gateway = session.sparkContext._gateway
            session.stop()
            spark_session.shut_down(gateway)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # pyspark leaves a pipe to it open
def test_java_that_cannot_start_is_one_line_with_its_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--driver-memory much pyspark-shell")
    reason = "could not be started: Invalid maximum heap size: -Xmxmuch"
    with pytest.raises(SettingsError, match=reason):
        score([folder / "nowhere.png"])
    gc.collect()


@pytest.mark.slow
def test_job_that_fails_is_one_line_and_stops_spark(
    trained: Trained, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark, "ANSWER", spark.ANSWER.replace("segments", "bars"))
    image = next((trained.folder / "music").rglob("*.png"))
    with pytest.raises(ModelError, match=r"^Spark: KeyError: 'bars'$"):
        score([image])
    assert "java" not in processes_below()


@pytest.mark.parametrize(
    "master", ["local", "local[2]", "local[*]", "yarn", "k8s://https://cluster:6443"]
)
def test_master_that_spark_knows_is_taken(master: str) -> None:
    check_master(master)


@pytest.mark.parametrize(
    "master",
    ["", "locall", "local[0]", "local[x]", "local[2", "spark://host", "host:7077", "sc://host",
     "mesos://host:5050", "yarn-cluster"],
)  # fmt: skip
def test_master_that_is_none_is_refused(master: str) -> None:
    with pytest.raises(SettingsError, match=r"--master is .*; allowed are local, "):
        check_master(master)


def test_master_that_does_not_answer_is_refused_at_once() -> None:
    with pytest.raises(SettingsError, match="nobody answers at --master"):
        check_master("spark://127.0.0.1:1")


def test_missing_pyspark_is_an_error_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(SettingsError, match=r"pip install 'genre-mlflow\[spark\]'"):
        check_installed()


@pytest.mark.parametrize(
    ("java_home", "where"), [("", "on PATH, and JAVA_HOME is not set"), ("/none", "in JAVA_HOME")]
)
def test_missing_java_is_an_error(
    java_home: str, where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("pyspark", reason="pyspark is not installed: pip install '.[spark]'")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", java_home)
    with pytest.raises(SettingsError, match=f"Spark needs Java 17 or later; there is none {where}"):
        check_installed()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Traceback (most recent call last):\n  File\nValueError: no\n", "ValueError: no"),
        ("[CODE] What happened.\n\tat org.apache", "[CODE] What happened."),
        ("", ""),
    ],
)
def test_reason_of_a_failure_is_one_line(text: str, reason: str) -> None:
    assert reason_of(text) == reason
