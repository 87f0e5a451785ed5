"""The command `crossval`: what it prints, what it refuses, and that it can be killed."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from processes import Command, Hit
from support import assert_mistake, runs_in, store_in

from genre_mlflow.cli.main import main
from genre_mlflow.jobs.crossval_settings import cores

EXPERIMENT = "genre-mlflow"
TINY = ["--image-size=32", "--image-width=32", "--widths=4,8", "--head-width=8", "--lr=0.01",
        "--epochs=3", "--stem=pixels", "--crop=1", "--statistics-share=0"]  # fmt: skip
CLIENT = "mlflow.tracking.client:MlflowClient"


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["crossval", *words], catch_exceptions=False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--folds", "1"], r"^Error: folds is 1; allowed are 2 to 1000$"),
        (["--repeats", "0"], r"^Error: repeats is 0; allowed are 1 to 1000$"),
        (["--workers", "0"], r"^Error: workers is 0; allowed are 1 to 1024$"),
        (
            ["--workers", "900"],
            r"^Error: workers is 900; allowed are at most \d+, for there are 10 ",
        ),
        (["--final", "all", "--network", "csv", "--table", "x.csv"], r"no model to register$"),
        (["--folds", "9"], r"^Error: 9 folds need as many groups of each genre, .*'blues' with 8"),
        (["--refit"], r"^Error: refit has no meaning in a cross-validation .*; leave it out$"),
        (["--recipe", "best"], r"^Error: recipe best asks for refit, which has no meaning in a cr"),
        (["--patience", "2"], r"^Error: patience has no meaning .*weights of the last epoch count"),
        (["--resume", "f00"], r"^Error: there is no run 'f00' in this store"),
        (["--data", "no/such/folder"], r"^Error: .*no/such/folder is no folder"),
        (["--groups", "no.csv"], r"^Error: groups is 'no\.csv', which is no file"),
    ],
)
def test_mistake_is_one_line_with_exit_code_2(
    tmp_path: Path, make_corpus: Callable[..., Path], words: list[str], message: str
) -> None:
    data = make_corpus(tmp_path / "music")
    with store_in(tmp_path / "work"):
        result = run("--data", str(data), *words)
    assert_mistake(result, message)
    assert not (tmp_path / "work" / "mlruns").exists()


@pytest.mark.slow
def test_a_line_for_each_fold_and_the_result_with_its_interval(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music")
    words = ["--network=majority", "--folds=2", "--repeats=2"]
    with store_in(tmp_path / "work") as client:
        result = run(f"--data={data}", *words, "--experiment=mine")
        (found,) = runs_in(client, "mine", "tags.task = 'crossval'")
    assert result.exit_code == 0, result.output
    assert len(re.findall(r"^repeat \d of 2, fold  \d of 2  accuracy", result.output, re.M)) == 4
    assert re.search(r"^Accuracy \d+\.\d% \(\d+\.\d% to \d+\.\d%\), macro F1", result.output, re.M)
    assert "on 24 recordings; the 95 % intervals are over 24 groups" in result.output
    assert re.search(r"^2 repeats: 95 % t interval of the accuracy", result.output, re.M)
    assert f"Run {found.info.run_id}, nothing registered" in result.output
    assert "no --groups: " in result.output


def test_recordings_alone_as_groups_are_told_to_part_artists(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data, table = make_corpus(tmp_path / "music"), tmp_path / "groups.csv"
    table.write_text("track_id,artist,recording\njazz.00000,Ann,X\njazz.00001,Ann,X\n"
                     "jazz.00002,Ann,Y\n")  # fmt: skip
    words = [f"--data={data}", f"--groups={table}", "--group-by=recording"]
    with store_in(tmp_path / "work"):
        result = run(*words, "--network=majority", "--folds=2")
    assert result.exit_code == 0, result.output
    assert "24 tracks in 23 groups of 3 genres" in result.output
    assert "--group-by recording: tracks of one artist may lie in several folds" in result.output


def begin(folder: Path, words: list[str], *hits: Hit) -> Command:
    return Command("genre_mlflow", words, folder / "command.log", folder, os.environ, hits)


def pooled(client: MlflowClient) -> pd.DataFrame:
    (parent,) = runs_in(client, EXPERIMENT, "tags.task = 'crossval'")
    return pd.read_csv(client.download_artifacts(parent.info.run_id, "tables/predictions.csv"))


def resume(client: MlflowClient, folder: Path) -> pd.DataFrame:
    """Go on with the run that was stopped; its predictions."""
    (parent,) = runs_in(client, EXPERIMENT, "tags.task = 'crossval'")
    begin(folder, ["crossval", "--resume", parent.info.run_id]).wait()
    runs = runs_in(client, EXPERIMENT)
    assert [each.info.status for each in runs] == ["FINISHED"] * 4  # the parent and three folds
    return pooled(client)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_is_stopped_or_killed_and_ends_as_if_never_stopped(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music")
    words = ["crossval", f"--data={data}", "--folds=3", *TINY]
    with store_in(tmp_path / "whole") as client:
        begin(tmp_path / "whole", words).wait()
        reference = pooled(client)
    hits = [
        Hit(f"{CLIENT}.create_run", (SIGINT,), 1),  # the parent
        Hit(f"{CLIENT}.create_run", (SIGTERM, SIGINT), 3),  # the second fold
        Hit("genre_mlflow.tracking.folds:log_fold", (SIGINT, SIGINT), 1, before=True),
        Hit("genre_mlflow.jobs.folds:pool", (SIGTERM,), 2),
    ]
    for number, hit in enumerate(hits):
        folder = tmp_path / f"stopped-{number}"
        with store_in(folder) as client:
            command = begin(folder, words, hit).join()
            assert command.code == 128 + hit.signals[0], command.said
            assert "Traceback" not in command.said
            assert "crossval --resume" in command.said
            states = {each.info.status for each in runs_in(client, EXPERIMENT)}
            assert "KILLED" in states
            assert states <= {"KILLED", "FINISHED"}
            pd.testing.assert_frame_equal(resume(client, folder), reference)
    longer = [*words, "--epochs=40"]  # lasts longer than the kill takes to come
    with store_in(tmp_path / "longer") as client:
        begin(tmp_path / "longer", longer).wait()
        reference = pooled(client)
    folder = tmp_path / "killed"
    with store_in(folder) as client:
        command = begin(folder, longer)
        command.until(lambda: "fold  1 of 3" in command.said)
        assert command.kill() != 0
        pd.testing.assert_frame_equal(resume(client, folder), reference)


PATIENCE_S = 300  # each of them imports all that is heavy


def workers_of(command: Command) -> list[int]:
    """The processes that a command has started to train folds."""
    listed = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    return [
        int(pid) for pid in listed if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def training(client: MlflowClient) -> list[str]:
    """Runs of folds that have ended an epoch and go on."""
    if client.get_experiment_by_name(EXPERIMENT) is None:
        return []
    words = "tags.task = 'fold' AND attributes.status = 'RUNNING'"
    runs = runs_in(client, EXPERIMENT, words)
    return [run.info.run_id for run in runs if "train_loss" in run.data.metrics]


def states(client: MlflowClient) -> list[str]:
    return sorted(run.info.status for run in runs_in(client, EXPERIMENT))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(cores() < 2, reason="needs two cores")
def test_folds_side_by_side_are_those_of_one_process_whoever_is_killed(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music")
    words = ["crossval", f"--data={data}", "--folds=3", *TINY, "--epochs=40"]
    with store_in(tmp_path / "one") as client:
        begin(tmp_path / "one", words).wait()
        reference = pooled(client)
    words += ["--workers=2"]
    with store_in(tmp_path / "two") as client:
        said = begin(tmp_path / "two", words).wait()
        pd.testing.assert_frame_equal(pooled(client), reference)
        assert {line[:3] for line in said.splitlines() if "accuracy" in line} >= {"[1]", "[2]"}
        assert states(client) == ["FINISHED"] * 4
    with store_in(tmp_path / "killed") as client:
        command = begin(tmp_path / "killed", words)
        command.until(lambda: len(training(client)) == 2, PATIENCE_S)
        os.kill(workers_of(command)[0], SIGKILL)
        assert "was killed (SIGKILL); its fold is left to another" in command.wait()
        pd.testing.assert_frame_equal(pooled(client), reference)
        assert states(client) == ["FINISHED"] * 4
    with store_in(tmp_path / "stopped") as client:
        command = begin(tmp_path / "stopped", words)
        command.until(lambda: bool(training(client)), PATIENCE_S)
        os.killpg(command.pid, SIGINT)  # as a terminal does: all of them hear it
        assert command.join().code == 128 + SIGINT, command.said
        assert "crossval --resume" in command.said
        assert set(states(client)) <= {"KILLED", "FINISHED"}
        pd.testing.assert_frame_equal(resume(client, tmp_path / "stopped"), reference)
    with store_in(tmp_path / "orphans") as client:
        command = begin(tmp_path / "orphans", words)
        command.until(lambda: bool(training(client)), PATIENCE_S)
        os.kill(command.pid, SIGKILL)
        command.until(lambda: "RUNNING" not in states(client), PATIENCE_S)
        pd.testing.assert_frame_equal(resume(client, tmp_path / "orphans"), reference)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(cores() < 2, reason="needs two cores")
def test_what_ends_all_workers_ends_the_command_in_one_line(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music")
    words = ["crossval", f"--data={data}", "--folds=3", *TINY, "--epochs=4000", "--workers=2"]
    with store_in(tmp_path / "work") as client:
        command = begin(tmp_path / "work", words)
        command.until(lambda: len(training(client)) == 2, PATIENCE_S)
        for pid in workers_of(command):
            os.kill(pid, SIGKILL)
        assert command.join().code == 2
        assert "Error: all 2 workers were killed, 3 of 3 folds are left" in command.said
        assert "crossval --resume" in command.said
        assert "RUNNING" not in states(client)
