import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from greed import TOO_MUCH
from support import Trained, assert_mistake, runs_in, store_in

from genre_mlflow.cli.base import OneLineErrors
from genre_mlflow.cli.main import main
from genre_mlflow.features.images import KNOWN
from genre_mlflow.tracking.sessions import hold
from genre_mlflow.version import VERSION

SMALL = [
    "--image-size=32",
    "--image-width=32",
    "--widths=4,8",
    "--head-width=8",
    "--lr=0.01",
    "--epochs=2",
]


def run(*words: str, **more: object) -> Result:
    return CliRunner().invoke(main, list(words), catch_exceptions=False, **more)


def of_corpus() -> list[list[str]]:
    """The commands of the group `corpus`."""
    return [["corpus", name] for name in main.commands["corpus"].commands]


@pytest.mark.parametrize("words", [[], *([name] for name in main.commands), *of_corpus()])
def test_every_command_has_help(words: list[str]) -> None:
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert "Usage: " in result.output


def test_module_is_the_same_program() -> None:
    command = [sys.executable, "-m", "genre_mlflow", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"genre-mlflow, version {VERSION}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lr", "abc"], r"'abc' is not a valid float"),
        (["--lr", "0"], r"^Error: lr is 0\.0; allowed are values above 0 up to 10$"),
        (["--epochs", "0"], r"^Error: epochs is 0; allowed are 1 to 100000$"),
        (["--dropout", "1"], r"^Error: dropout is 1\.0; allowed are 0 to below 1$"),
        (["--widths", "16,x"], r"'16,x' is no list of whole numbers"),
        (
            ["--widths", "4,4,4,4,4,4", "--image-size", "32"],
            r"widths has 6 blocks, which halve 4 rows",
        ),
        (["--schedule", "linear"], r"'linear' is not one of 'none', 'cosine', 'one-cycle'"),
        (["--val-fraction", "0.6", "--test-fraction", "0.4"], "leave nothing to train on"),
        (["--group-by", "artist"], r"^Error: group_by is 'artist', but there is no table with"),
        (["--allow-leak", "perhaps"], "'perhaps' is not a valid boolean"),
        (["--data", "no/such/folder"], r"^Error: .*no/such/folder is no folder"),
        (
            ["--device", "abacus"],
            r"^Error: device 'abacus' is unknown; allowed are auto, cpu, cuda, cuda:N and mps$",
        ),
        (["--resume", "f00"], r"^Error: there is no run 'f00' in this store"),
        (["--model-name", "rock'n'roll"], r"^Error: model_name is .*; allowed are names without"),
        (["--model-name", "a/b"], r"^Error: model_name is 'a/b'; allowed are names without"),
        (["--split-dir", "nowhere"], r"^Error: the split list nowhere/train\.txt cannot be read"),
    ],
)
def test_mistake_is_one_line_with_exit_code_2(
    tmp_path: Path, make_corpus: Callable[..., Path], words: list[str], message: str
) -> None:
    data = make_corpus(tmp_path / "music")
    with store_in(tmp_path / "work"):
        result = run("train", "--data", str(data), *words)
    assert_mistake(result, message)
    assert not (tmp_path / "work" / "mlruns").exists()


def test_training_prints_result_run_and_next_commands(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music", tracks=20)
    with store_in(tmp_path / "work") as client:
        result = run("train", "--data", str(data), *SMALL, "--experiment", "mine")
        assert result.exit_code == 0, result.output
        (found,) = runs_in(client, "mine")
    assert f"Run {found.info.run_id}, registered as genre-classifier version 1" in result.output
    assert "   1/2 " in result.output
    assert re.search(r"Test accuracy \d+\.\d% \(95 % interval .* on 6 tracks", result.output)
    assert "genre-mlflow serve --model models:/genre-classifier@champion" in result.output
    assert re.search(r"mlflow ui --port 5000\n", result.output)


@pytest.mark.slow
def test_a_recipe_is_logged_with_all_that_it_says(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music", size=64)
    words = ["train", "--data", str(data), "--recipe", "plain", "--image-size", "64"]
    with store_in(tmp_path / "work") as client:
        result = run(*words, "--epochs", "1", "--lr", "0.003", "--experiment", "mine")
        assert result.exit_code == 0, result.output
        (found,) = runs_in(client, "mine")
    params = found.data.params
    assert (params["recipe"], params["stem"], params["head_width"]) == ("plain", "pixels", "256")
    assert (params["epochs"], params["lr"]) == ("1", "0.003")  # as given


def test_predict_writes_a_table_and_goes_on_after_a_bad_file(
    trained: Trained, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    out = tmp_path / "out.csv"
    music = trained.folder / "music"
    result = run("predict", str(bad), str(music / "jazz"), "--out", str(out), "--top-k", "2")
    assert result.exit_code == 2
    table = pd.read_csv(out)
    assert len(table) == 21
    assert table["error"].notna().sum() == 1
    assert table["predicted"].dropna().isin(["blues", "jazz", "rock"]).all()
    assert f"bad.png  error: is neither {KNOWN} (8 bytes)\n" in result.output
    good = [line for line in result.output.splitlines() if "jazz.000" in line]
    assert all(re.search(r"(blues|jazz|rock) [01]\.\d{3}  (blues|jazz|rock) [01]\.\d{3}$", line)
               for line in good)  # fmt: skip


def test_predict_writes_json(trained: Trained, tmp_path: Path) -> None:
    image = next((trained.folder / "music").rglob("*.png"))
    result = run("predict", str(image), "--out", str(tmp_path / "out.json"))
    assert result.exit_code == 0
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert row["path"] == str(image)
    assert row["predicted"] in ("blues", "jazz", "rock")
    assert "genre" not in row


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([""], r"^Error: a path is ''; give the name of a file or a folder$"),
        ([" "], r"^Error: a path is ' '; give the name"),
        (["nothing.png"], r"^Error: nothing\.png does not exist$"),
        (["x.png", "--out", "table.xls"], r"--out is 'table\.xls'; allowed are names that end in"),
        (["x.png", "--out", "no/where.csv"], r"no is no folder$"),
        (
            ["x.png", "--out", "\u65e5" * 84 + ".csv"],
            r"csv', a name of 256 bytes, which is too long here; give a shorter one$",
        ),
        (
            ["x.png", "--move", "sorted", "--out", "n" * 246 + ".csv"],
            r"moved\.csv', beside --out, a name of 256 bytes, which is too long here",
        ),
        ([".", "--model", "models:/nobody@champion"], "^Error: .*nobody"),
    ],
)
def test_predicting_mistakes_are_one_line(trained: Trained, words: list[str], message: str) -> None:
    assert_mistake(run("predict", *words), message)


def test_evaluate_prints_a_table_and_logs_a_run(trained: Trained) -> None:
    model = "models:/genre-classifier@champion"
    result = run(
        "evaluate", model, "--data", str(trained.folder / "music"), "--split", "test",
        "--experiment", "evaluations",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    reached = trained.outcome.metrics["test_accuracy"]
    assert f"Accuracy {reached:.1%} " in result.stdout
    assert "on 6 tracks (0 trained on, 0 validated on); run " in result.stdout
    assert result.stderr == ""
    (logged,) = runs_in(trained.client, "evaluations")
    assert logged.data.metrics["accuracy"] == pytest.approx(reached)
    assert logged.info.status == "FINISHED"
    paths = {entry.path for entry in trained.client.list_artifacts(logged.info.run_id)}
    assert paths == {
        "predictions.csv", "report.csv", "confusion_counts.png", "confusion_rates.png", "data"
    }  # fmt: skip
    assert logged.data.params["split"] == "test"
    assert logged.inputs.dataset_inputs[0].dataset.name == "music"


def test_evaluating_unknown_genres_names_them(
    trained: Trained, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "other", genres=("blues", "polka"))
    result = run("evaluate", "models:/genre-classifier@champion", "--data", str(data))
    assert_mistake(result, r"the model does not know the genres polka; it knows blues, jazz, rock")


def test_evaluating_on_what_it_was_trained_on_is_a_warning_or_with_strict_a_mistake(
    trained: Trained,
) -> None:
    words = ["evaluate", "models:/genre-classifier@champion", "--experiment", "trained on",
             "--data", str(trained.folder / "music"), "--split", "train"]  # fmt: skip
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "on 48 tracks (48 trained on, 0 validated on); run " in result.stdout
    assert re.fullmatch("Warning: 48 of the 48 tracks were in train of run .*\n", result.stderr)
    message = "^Error: 48 of the 48 tracks were in train of .*; --strict evaluates on no such.*\n$"
    assert_mistake(run(*words, "--strict"), message)


def test_promote_tells_by_its_exit_code(trained: Trained) -> None:
    result = run("promote")
    assert result.exit_code == 1
    assert result.output == "Not promoted: version 1 is the champion already\n"
    result = run("demote", "genre-classifier")
    assert result.exit_code == 1
    assert result.output == (
        "Not demoted: version 1 stays the champion, there was none before it\n"
    )
    assert_mistake(run("promote", "--min-gain", "-1"), "^Error: min_gain is -1.0; allowed are 0 to")


@pytest.mark.parametrize(("words", "message"), [
    (("--margin", "3"), r"^Error: --margin is for --accept lighter alone$"),
    (("--min-saving", "5", "--accept", "better"), r"^Error: --min-saving is for --accept lighter"),
    (("--force", "--why", "x", "--smoke", "here"),
     r"^Error: --smoke is for the gate, which --force skips$"),
])  # fmt: skip
def test_options_that_would_decide_nothing_are_refused(words, message) -> None:
    assert_mistake(run("promote", *words), message)


def test_scan_shows_counts_and_faults(tmp_path: Path, make_corpus: Callable[..., Path]) -> None:
    data = make_corpus(tmp_path / "music")
    first = sorted((data / "jazz").iterdir())[0]
    (data / "rock" / "copy.png").write_bytes(first.read_bytes())
    out = tmp_path / "manifest.csv"
    result = run("corpus", "scan", str(data), "--out", str(out))
    assert result.exit_code == 0
    assert re.search(r"copies with different genres: 1\n  jazz/.* = rock/copy\n", result.output)
    assert len(pd.read_csv(out)) == 25


def test_scan_refuses_a_split_that_parts_an_artist_and_writes_all_with_allow_leak(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data, table, faults = make_corpus(tmp_path / "music"), tmp_path / "g.csv", tmp_path / "f.json"
    for name, numbers in (("train", range(6)), ("val", (6,)), ("test", (7,))):
        ids = [f"{genre}.{i:05d}\n" for genre in ("blues", "jazz", "rock") for i in numbers]
        (tmp_path / f"{name}.txt").write_text("".join(ids))
    table.write_text("track_id,artist\njazz.00000,Ann\njazz.00007,Ann\n")
    words = [str(data), f"--split-dir={tmp_path}", f"--groups={table}", f"--faults={faults}"]
    refused = run("corpus", "scan", *words, "--group-by=artist")
    assert_mistake(refused, r"^Error: 1 artist on two sides .* --allow-leak; `corpus scan --allow")
    assert not faults.exists()
    assert run("corpus", "scan", *words, "--group-by=artist", "--allow-leak").exit_code == 0
    (group,) = json.loads(faults.read_text())["groups_in_two_splits"]
    assert group["tracks"] == {"jazz/jazz.00000": "train", "jazz/jazz.00007": "test"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("GENRE_HOME", str(folder))
    (folder / "cache").mkdir(parents=True)
    (folder / "cache" / "a.npy").write_bytes(b"0" * 2_000_000)
    return folder


def test_clean_shows_asks_and_deletes(home: Path) -> None:
    refused = run("clean", input="n\n")
    assert "2.0 MB  cache" in refused.output
    assert (home / "cache").exists()
    assert run("clean", "--yes").exit_code == 0
    assert not home.exists()
    assert run("clean", "--yes").exit_code == 0


@pytest.mark.parametrize("words", [
    ("predict", "."), ("promote",), ("demote", "x"), ("serve",),
    ("evaluate", "models:/x@champion", "--data", "."),
])  # fmt: skip
def test_a_command_that_reads_makes_no_store(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    result = run(*words)
    assert_mistake(
        result, r"^Error: there is no MLflow store sqlite:.*mlflow\.db; give the command"
    )
    assert not [path for path in tmp_path.iterdir() if path.name != ".genre"]


def test_clean_deletes_what_killed_processes_have_left(home: Path) -> None:
    (home / "gtzan-download.lock").touch()
    (home / "spark-links-x1").mkdir()
    (home / "spark-links-x1" / "0.mp3").symlink_to(home / "gone.mp3")
    assert run("clean", "--yes").exit_code == 0
    assert not home.exists()


def test_clean_leaves_what_is_not_ours(home: Path) -> None:
    (home / "thesis.txt").write_text("mine")
    assert run("clean", "--yes").exit_code == 0
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]


def test_clean_waits_for_a_run_in_training(home: Path) -> None:
    with hold("abc"):
        assert_mistake(run("clean", "--yes"), "^Error: run abc is being trained; stop it first")
    assert (home / "cache").exists()


def test_serving_a_port_that_is_taken_is_one_line(trained: Trained) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert_mistake(run("serve", "--port", port), rf"port {port} of 127\.0\.0\.1 cannot be used")


def test_a_store_that_is_no_database_is_one_line(
    tmp_path: Path, make_corpus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("no database " * 100)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/notes.txt")
    result = run("train", "--data", str(make_corpus(tmp_path / "music")))
    assert_mistake(result, "^Error: .*(cannot be opened|not a database)")


def test_scan_refuses_a_manifest_it_cannot_write_before_scanning(tmp_path: Path) -> None:
    result = run("corpus", "scan", str(tmp_path / "nothing"), "--out", "no/such/m.csv")
    assert_mistake(result, "no/such is no folder$")


def test_serving_a_missing_model_is_one_line(trained: Trained) -> None:
    assert_mistake(run("serve", "--model", "models:/nobody/1"), "^Error: .*nobody")


def test_store_of_the_old_kind_is_one_line(
    tmp_path: Path, make_corpus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_corpus(tmp_path / "music")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "mlruns"))
    assert_mistake(run("train", "--data", str(data)), "^Error: MLflow: The filesystem")


def test_a_lack_of_memory_in_any_command_is_one_line() -> None:
    @click.command(cls=OneLineErrors)
    def greedy() -> None:
        bytearray(TOO_MUCH)

    result = CliRunner().invoke(greedy, [], catch_exceptions=False)
    assert_mistake(result, "^Error: out of memory on this machine; free some, or ask for less.*\n$")
