"""Scoring on a real standalone cluster: a master and two workers, each a process of its own."""

import os
import shutil
import subprocess
import tarfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sounds import encode, tone
from support import Trained

from genre_mlflow.errors import ModelError, SettingsError
from genre_mlflow.library import spark, spark_workers
from genre_mlflow.library.predict import open_predictor
from genre_mlflow.library.spark import predict_with_spark
from genre_mlflow.library.spark_session import check_installed

MODEL = "models:/genre-classifier@champion"
MASTER, WORKER = (f"org.apache.spark.deploy.{name}" for name in ("master.Master", "worker.Worker"))


@dataclass
class Cluster:
    """Java processes on ports that were free, and the address of the master."""

    address: str
    master: subprocess.Popen[str]
    workers: list[subprocess.Popen[str]]


def start(name: str, *arguments: str) -> subprocess.Popen[str]:
    import pyspark

    command = [Path(pyspark.__file__).parent / "bin/spark-class", name, "--host", "127.0.0.1",
               "--port", "0", "--webui-port", "0", *arguments]  # fmt: skip
    options = {"SPARK_DAEMON_JAVA_OPTS": "-Dspark.master.rest.enabled=false"}
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=os.environ | options,
    )  # fmt: skip


def said(process: subprocess.Popen[str], word: str) -> str:
    """The first line with a word in it that a process writes."""
    assert process.stderr
    return next(line for line in process.stderr if word in line)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    try:
        check_installed()
    except SettingsError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    master = start(MASTER)
    started = [master]
    try:
        address = said(master, "spark://").split()[-1]
        for n in range(2):
            work = str(tmp_path / f"worker {n}")
            started.append(
                start(WORKER, "--cores", "1", "--memory", "2g", "--work-dir", work, address)
            )
        for worker in started[1:]:
            said(worker, "Successfully registered")
        yield Cluster(address, master, started[1:])
    finally:
        for process in started:
            process.kill()
            process.wait()
            process.stderr.close()


def packed(folder: Path) -> Path:
    """An environment as an archive: Python and, by a line in a file, the packages that are here."""
    venv.create(folder / "env", symlinks=True)
    packages = next(folder.glob("env/lib/python*/site-packages"))
    (packages / "those.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    with tarfile.open(folder / "env.tar.gz", "w:gz") as archive:
        for path in (folder / "env").iterdir():  # Spark takes no archive that begins with `./`
            archive.add(path, path.name)
    shutil.rmtree(folder / "env")
    return folder / "env.tar.gz"


@pytest.mark.slow
def test_two_workers_with_a_shipped_environment_answer_as_this_process_does_until_both_are_killed(
    trained: Trained, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = sorted((trained.folder / "music").rglob("*.png"))[:6]
    song = tmp_path / "song.mp3"
    song.write_bytes(encode(tone(2.0), "MP3"))
    files = [song, *images]
    archive = packed(tmp_path)
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", f"--archives {archive}#env pyspark-shell")
    monkeypatch.setenv("PYSPARK_PYTHON", "./env/bin/python")
    monkeypatch.setattr(spark, "CHUNK", 3)
    monkeypatch.setattr(spark, "CHUNK_PER_CORE", 1)
    monkeypatch.setattr(spark_workers, "WORKERS_S", 30)
    with open_predictor(MODEL) as predictor:
        local = list(predictor.predict_files(files, 1))
        rows = predict_with_spark(files, predictor, MODEL, cluster.address)
        found = [next(rows)]
        cluster.workers[0].kill()
        found += [next(rows) for _ in range(3)]  # two of its job, one of the next
        monkeypatch.setattr(spark_workers, "WORKERS_S", 2)
        cluster.workers[1].kill()
        found += [next(rows) for _ in range(2)]
        with pytest.raises(ModelError, match=r"^all workers of --master spark://.* are gone, and"):
            next(rows)
    for expected, row in zip(local, found, strict=False):
        assert row == {k: pytest.approx(v, abs=2e-6) for k, v in expected.items()}
    assert not any(row["error"] for row in found)
