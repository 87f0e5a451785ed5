"""Signals reach long commands where it hurts: nothing stays open, nothing is lost."""

import csv
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import TrialState
from processes import Command, Hit
from sounds import encode, tone
from support import SMALL, Trained, store_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CLIENT = "mlflow.tracking.client:MlflowClient"
RUN = "genre_mlflow.tracking.run:TrackedRun"
TIDYING = [
    Hit(f"{RUN}.terminate", (SIGINT, SIGTERM), before=True, second=True),
    Hit("optuna.study:Study.tell", (SIGINT, SIGTERM), before=True, second=True),
]
TINY = [
    f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items() if name != "widths"
] + ["--widths=4,8"]
SIGNALS = [(SIGINT,), (SIGTERM,), (SIGHUP,), (SIGINT, SIGINT), (SIGINT, SIGTERM)]


def start(folder: Path, module: str, words: list[str], *hits: Hit) -> Command:
    return Command(module, words, folder / "command.log", folder, os.environ, hits)


def check_stopped(command: Command, number: int) -> str:
    """It has ended by that signal, without a traceback; what it said."""
    code = command.join(120).code
    said = command.said
    assert code == 128 + number, said[-3000:]
    assert "Traceback" not in said
    assert "Error" not in said
    return said


def states(client: MlflowClient) -> dict[str, str]:
    """State of every run, by its name."""
    return {run.info.run_name: run.info.status for run in all_runs(client)}


def all_runs(client: MlflowClient) -> list[Run]:
    return list(client.search_runs([e.experiment_id for e in client.search_experiments()]))


# A run of three epochs makes some forty calls of `log_batch`; these are its first, one in an
# epoch, and the one that notes that the test set is read.
@pytest.mark.parametrize(
    ("target", "call", "signals"),
    [
        (f"{CLIENT}.create_run", 1, SIGNALS[0]),
        (f"{CLIENT}.create_run", 1, SIGNALS[3]),
        (f"{CLIENT}.log_batch", 1, SIGNALS[1]),
        (f"{CLIENT}.log_batch", 8, SIGNALS[4]),
        (f"{CLIENT}.finalize_logged_model", 2, SIGNALS[2]),
        ("genre_mlflow.jobs.outcome:note_test_read", 1, SIGNALS[3]),
    ],
)
def test_training_is_stopped_and_goes_on(
    store: MlflowClient,
    tmp_path: Path,
    make_corpus: Callable[..., Path],
    target: str,
    call: int,
    signals: tuple[int, ...],
) -> None:
    data = make_corpus(tmp_path / "music")
    words = ["train", f"--data={data}", *TINY]
    stopped = start(tmp_path, "genre_mlflow", words, Hit(target, signals, call), *TIDYING)
    said = check_stopped(stopped, signals[0])
    assert [*states(store).values()] == ["KILLED"]
    found = re.search(r"Stopped\. Go on with: .*genre-mlflow train --resume (\w+)\n", said)
    assert found, said
    start(tmp_path, "genre_mlflow", ["train", "--resume", found[1]]).wait()
    assert [*states(store).values()] == ["FINISHED"]
    assert len(store.search_model_versions("name = 'genre-classifier'")) == 1


def test_a_run_that_has_nothing_left_to_do_ends_well(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    """A signal that comes when all is registered finds nothing to stop."""
    data = make_corpus(tmp_path / "music")
    last = Hit(f"{RUN}.terminate", (SIGTERM,), before=True)
    said = start(tmp_path, "genre_mlflow", ["train", f"--data={data}", *TINY], last).wait()
    assert "Test" in said
    assert [*states(store).values()] == ["FINISHED"]


@pytest.mark.parametrize("signals", SIGNALS[1:4])
def test_evaluation_is_stopped(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, signals: tuple[int, ...]
) -> None:
    words = [
        "evaluate", "models:/genre-classifier/1", "--data", str(trained.options.corpus.data),
        "--experiment", tmp_path.name,
    ]  # fmt: skip
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{trained.folder}/mlflow.db")
    hits = Hit(f"{CLIENT}.create_run", signals), *TIDYING
    check_stopped(start(tmp_path, "genre_mlflow", words, *hits), signals[0])
    experiment = trained.client.get_experiment_by_name(tmp_path.name)
    (run,) = trained.client.search_runs([experiment.experiment_id])
    assert run.info.status == "KILLED"


STUDY = ["--study=s", "--trials=3", "--final-seeds=1", "--space=small"]


@pytest.mark.parametrize(
    ("target", "call", "signals"),
    [
        (f"{CLIENT}.create_run", 1, SIGNALS[1]),  # the parent
        (f"{CLIENT}.create_run", 2, SIGNALS[3]),  # the first trial
        ("optuna.study:Study.ask", 2, SIGNALS[3]),
        ("optuna.trial:Trial.report", 5, SIGNALS[4]),
        ("optuna.study:Study.tell", 1, SIGNALS[0]),
        ("genre_mlflow.tracking.study:StudyRuns.open_final", 1, SIGNALS[2]),
    ],
)
def test_search_is_stopped_and_goes_on(
    store: MlflowClient,
    tmp_path: Path,
    make_corpus: Callable[..., Path],
    target: str,
    call: int,
    signals: tuple[int, ...],
) -> None:
    data = make_corpus(tmp_path / "music")
    words = [f"--data={data}", *TINY, *STUDY]
    hits = Hit(target, signals, call), *TIDYING
    said = check_stopped(start(tmp_path, "search", words, *hits), signals[0])
    assert "The same command goes on where this one was" in said
    assert "RUNNING" not in states(store).values()
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/.genre/search.db")
    assert study.get_trials(states=(TrialState.RUNNING,)) == []
    check_queued(study)
    start(tmp_path, "search", words).wait()
    assert len(study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))) == 3
    assert "RUNNING" not in states(store).values()


def check_queued(study: optuna.Study) -> None:
    """Each setting that was cut off waits to be tried again."""
    waiting = [t.system_attrs.get("failed_trial") for t in study.get_trials()]
    for trial in study.get_trials(states=(TrialState.FAIL,)):
        assert trial.number in waiting


def test_workers_of_a_search_are_stopped_with_it(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    """A terminal's Ctrl-C reaches them all, and the main process asks them once more."""
    search = working_search(store, tmp_path, make_corpus(tmp_path / "music"))
    for number in (SIGINT, SIGINT):
        os.killpg(search.pid, number)
    check_stopped(search, SIGINT)
    check_everything_stopped(store, tmp_path)


def test_workers_stop_when_their_main_process_is_killed(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    search = working_search(store, tmp_path, make_corpus(tmp_path / "music"))
    os.kill(search.pid, SIGKILL)
    search.until(lambda: group_is_gone(search.pid))
    assert search.said.count("The process that has started this one is gone; stopping") == 2
    check_everything_stopped(store, tmp_path)


def working_search(client: MlflowClient, folder: Path, data: Path) -> Command:
    """A search with two workers, each of which has begun a trial."""
    words = [f"--data={data}", *TINY, *STUDY, "--epochs=100000", "--workers=2"]
    search = start(folder, "search", words)

    def at_work() -> bool:
        runs = all_runs(client)
        return sum("val_accuracy" in run.data.metrics for run in runs) == 2

    search.until(at_work)
    return search


def check_everything_stopped(client: MlflowClient, folder: Path) -> None:
    """No run and no trial is left RUNNING, and each that was cut off is queued again."""
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{folder}/.genre/search.db")
    assert study.get_trials(states=(TrialState.RUNNING,)) == []
    assert len(study.get_trials(states=(TrialState.FAIL,))) == 2
    check_queued(study)
    found = states(client)
    assert found.pop("search s") == "KILLED"
    assert set(found.values()) == {"FAILED"}


def group_is_gone(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    ("target", "call", "words"),
    [
        ("genre_mlflow.library.predict:to_line", 3, []),
        ("genre_mlflow.library.predict:to_line", 1, ["--workers=2"]),
        ("genre_mlflow.library.sorting:move_file", 2, ["--move=sorted"]),
        ("genre_mlflow.library.sorting:link_file", 2, ["--link=sorted"]),
    ],
)
def test_prediction_is_stopped_and_goes_on(
    trained: Trained, tmp_path: Path, target: str, call: int, words: list[str]
) -> None:
    songs = tmp_path / "songs"
    songs.mkdir()
    for number in range(12):
        (songs / f"{number}.wav").write_bytes(encode(tone(5.0, 110.0 * (number + 1))))
    with store_in(tmp_path, uri=f"sqlite:///{trained.folder}/mlflow.db"):
        command = [
            "predict", str(songs), "--model=models:/genre-classifier/1", "--out=table.csv", *words,
        ]  # fmt: skip
        hit = Hit(target, (SIGTERM, SIGTERM), call)
        check_stopped(start(tmp_path, "genre_mlflow", command, hit), SIGTERM)
        start(tmp_path, "genre_mlflow", command).wait()
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert sorted(Path(row["path"]).name for row in rows) == sorted(
        f"{number}.wav" for number in range(12)
    )
    assert {row["error"] for row in rows} == {""}
    if "sorted" in "".join(words):
        assert len([*tmp_path.glob("sorted/*/*.wav")]) == 12
    if words == ["--move=sorted"]:
        assert [*songs.iterdir()] == []


def test_drawing_is_stopped_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "songs" / "a").mkdir(parents=True)
    for number in range(8):
        sound = encode(tone(5.0, 110.0 * (number + 1)))
        (tmp_path / "songs" / "a" / f"{number}.wav").write_bytes(sound)
    words = ["corpus", "render", "songs", "images", "--workers=1"]
    hit = Hit("genre_mlflow.corpus.rendering:save", (SIGTERM, SIGINT), 2)
    command = start(tmp_path, "genre_mlflow", words, hit)
    assert command.join(120).code in (128 + SIGTERM, 128 + SIGINT)  # they wait for each other
    assert "Traceback" not in command.said
    assert 2 <= len([*tmp_path.glob("images/a/*.png")]) < 8
    assert "had been drawn before" in start(tmp_path, "genre_mlflow", words).wait()
    assert len([*tmp_path.glob("images/a/*.png")]) == 8


def test_laying_out_the_collection_is_stopped_and_goes_on(tmp_path: Path, real_data: Path) -> None:
    shutil.copytree(real_data / "gtzan-audio", tmp_path / "mine")  # files are linked from there
    words = ["corpus", "gtzan", "out", "--source=mine", "--on-bad-file=skip"]
    hit = Hit("genre_mlflow.corpus.gtzan.layout:linked", (SIGINT, SIGTERM), 5)
    check_stopped(start(tmp_path, "genre_mlflow", words, hit), SIGINT)
    laid_out = len([*tmp_path.glob("out/genres/*/*")])
    assert 5 <= laid_out < 14
    said = start(tmp_path, "genre_mlflow", words).wait()
    assert f"14 tracks of 10 genres in out/genres, {14 - laid_out} of them new" in said
