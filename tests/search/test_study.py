"""Studies from their first trial to their last run, on a real SQLite store."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import optuna
import pandas as pd
import pytest
from greed import ASKED, Greedy
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import Trial, TrialState
from PIL import Image
from support import InterruptAfter, runs_in, store_in

from genre_mlflow.cli.base import speaking
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import ModelError, StudyError, TrainingError
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.tracking.sessions import checkpoint_folder
from genre_mlflow.training.observer import Observer
from search.best import Finished, finish
from search.objective import begin_run
from search.report import PLOTS
from search.request import Request
from search.run import run
from search.storage import quiet
from search.study import Search, open_search
from search.worker import MAX_FAILURES, Worker

pytestmark = pytest.mark.slow  # whole studies
MakeRequest = Callable[..., Request]


def runs_of(client: MlflowClient, task: str) -> list[Run]:
    return runs_in(client, words=f"tags.task = '{task}'")


def losses(client: MlflowClient, run: Run) -> list[float]:
    """Of training and of validation, epoch by epoch."""
    names = ("train_loss", "val_loss")
    return [m.value for n in names for m in client.get_metric_history(run.info.run_id, n)]


def artifacts(client: MlflowClient, run_id: str, folder: str = "") -> set[str]:
    return {entry.path for entry in client.list_artifacts(run_id, folder or None)}


@dataclass(frozen=True)
class Done:
    """A study at its end."""

    client: MlflowClient
    found: Finished
    request: Request
    read: list[set[int]]  # rows of the cache that the tracks of the trials stand for
    test_rows: set[int]
    lines: list[str]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, make_request: MakeRequest) -> Iterator[Done]:
    """Five trials, one of them queued by hand; the best one trained again with two seeds."""
    folder = tmp_path_factory.mktemp("done")
    request = make_request(
        trials=5, epochs=3, final_seeds=2, enqueue=("lr=0.02 dropout=0.1",), pruner="median",
        space=str(write_space(folder)), storage=f"sqlite:///{folder}/studies.db",
    )  # fmt: skip
    lines: list[str] = []
    with store_in(folder) as client:
        search = open_search(request)
        trained = [set(t._rows.tolist()) for t in search.tracks.values()]
        rows = search.corpus.rows("test")
        everything = TrackDataset(rows, search.corpus.genres, cache_of(search))
        with speaking(lines.append):
            found = run(request)
        assert found is not None
        yield Done(client, found, request, trained, set(everything._rows.tolist()), lines)


def cache_of(search: Search) -> object:
    from genre_mlflow.data.cache import open_cache
    from genre_mlflow.files.home import home

    manifest = search.corpus.manifest
    return open_cache(manifest, search.options.preprocessing, home() / "cache")


def write_space(folder: Path) -> Path:
    path = folder / "mine.yaml"
    path.write_text("lr: {low: 1.0e-3, high: 0.1, log: true}\ndropout: {low: 0.0, high: 0.8}\n")
    return path


def test_one_parent_holds_a_nested_run_for_each_trial(done: Done) -> None:
    (parent,) = runs_of(done.client, "search")
    trials = runs_of(done.client, "tune")
    assert parent.info.status == "FINISHED"
    assert parent.info.run_id == done.found.parent_run_id
    assert [run.data.tags["trial"] for run in trials] == ["0", "1", "2", "3", "4"]
    assert [run.info.run_name for run in trials] == [f"trial {n:03d}" for n in range(5)]
    parents = {run.data.tags["mlflow.parentRunId"] for run in trials}
    assert parents == {parent.info.run_id}


def test_trials_hold_what_they_are_compared_by_and_no_noise(done: Done) -> None:
    expected = {
        "train_loss", "train_accuracy", "val_loss", "val_accuracy", "epoch_seconds",
        "best_val_loss", "best_val_accuracy", "best_epoch",
    }  # fmt: skip
    for trial in runs_of(done.client, "tune"):
        assert set(trial.data.params) == {"lr", "dropout"}
        assert set(trial.data.metrics) == expected
        assert artifacts(done.client, trial.info.run_id) == set()
        history = done.client.get_metric_history(trial.info.run_id, "val_loss")
        values = [metric.value for metric in history]
        assert trial.data.metrics["best_val_loss"] == min(values)
        assert [metric.step for metric in history] == list(range(1, len(values) + 1))
        words = f"source_run_id = '{trial.info.run_id}'"
        models = done.client.search_logged_models([trial.info.experiment_id], filter_string=words)
        assert models == []


def test_states_of_the_runs_are_those_of_the_trials(done: Done) -> None:
    for trial in runs_of(done.client, "tune"):
        assert trial.info.status in ("FINISHED", "KILLED")
        assert ("pruned" in trial.data.tags) == (trial.info.status == "KILLED")


def test_first_trial_has_the_values_of_the_command_line_and_the_next_the_queued_ones(
    done: Done,
) -> None:
    first, second, *_ = runs_of(done.client, "tune")
    assert (first.data.params["lr"], first.data.params["dropout"]) == ("0.01", "0.5")
    assert (second.data.params["lr"], second.data.params["dropout"]) == ("0.02", "0.1")


def test_parent_shows_progress_table_plots_and_the_best_trial(done: Done, tmp_path: Path) -> None:
    (parent,) = runs_of(done.client, "search")
    progress = done.client.get_metric_history(parent.info.run_id, "best_val_loss")
    assert [metric.step for metric in progress] == [1, 2, 3, 4, 5]
    assert progress[-1].value == done.found.best_val_loss
    assert [-m.value for m in progress] == sorted(-m.value for m in progress)
    names = {f"study/{name}.png" for name in PLOTS} | {"study/trials.csv", "study/plots.html"}
    assert artifacts(done.client, parent.info.run_id, "study") == names
    folder = Path(done.client.download_artifacts(parent.info.run_id, "study", str(tmp_path)))
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) > 300
    table = pd.read_csv(folder / "trials.csv")
    assert table["trial"].tolist() == [0, 1, 2, 3, 4]
    assert table["best_val_loss"].min() == pytest.approx(done.found.best_val_loss)
    best = table.loc[table["best_val_loss"].idxmin()]
    assert best["best_val_accuracy"] == pytest.approx(done.found.best_val_accuracy)
    page = (folder / "plots.html").read_text("utf-8")
    assert page.count("Plotly.newPlot(") == len(PLOTS)
    assert parent.data.tags["best_trial"] == str(done.found.best_trial)
    best = done.client.get_run(parent.data.tags["best_trial_run_id"])
    assert best.data.tags["trial"] == str(done.found.best_trial)


def test_parent_holds_the_fixed_options_and_the_dataset(done: Done) -> None:
    (parent,) = runs_of(done.client, "search")
    assert parent.data.params["epochs"] == "3"
    assert not {"lr", "dropout"} & set(parent.data.params)
    assert parent.inputs.dataset_inputs[0].dataset.name == "music"


def test_trials_cannot_read_the_test_set(done: Done) -> None:
    train, val = done.read
    assert done.test_rows
    assert not (train | val) & done.test_rows


def test_best_setting_is_trained_again_and_the_better_validation_registered(done: Done) -> None:
    finals = runs_of(done.client, "final")
    assert [run.data.tags["final_seed"] for run in finals] == ["0", "1"]
    for final in finals:
        assert final.data.tags["mlflow.parentRunId"] == done.found.parent_run_id
        assert final.info.status == "FINISHED"
        assert float(final.data.params["lr"]) == pytest.approx(done.found.setting["lr"], rel=1e-4)
        assert "test_accuracy" in final.data.metrics
    # The first seed is the trial's own: training it again gives the same, to the last digit.
    trial = runs_of(done.client, "tune")[done.found.best_trial]
    first, second = (losses(done.client, final) for final in finals)
    assert first == losses(done.client, trial) != second
    version = done.client.get_model_version_by_alias("genre-classifier", "challenger")
    assert str(version.version) == done.found.version
    registered = [run for run in finals if "registered" in run.data.tags]
    best = min(finals, key=lambda final: final.data.metrics["best_val_loss"])
    assert [run.info.run_id for run in registered] == [best.info.run_id]


def test_same_command_again_adds_nothing(done: Done) -> None:
    (parent,) = runs_of(done.client, "search")
    before = len(done.client.search_runs([parent.info.experiment_id]))
    assert run(done.request) == done.found
    assert len(done.client.search_runs([parent.info.experiment_id])) == before
    assert runs_of(done.client, "search")[0].info.end_time == parent.info.end_time
    assert len(done.client.search_model_versions("name = 'genre-classifier'")) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 4}, r"epochs was 3, now 4"),
        ({"space": "small"}, r"its space differs in lr \(was .*'high': 0\.1.* now .*0\.01"),
    ],
)
def test_another_search_under_the_same_name_is_refused(
    done: Done, make_request: MakeRequest, changes: dict, message: str
) -> None:
    same = {"study": done.found.study, "space": done.request.space, "epochs": 3}
    changed = make_request(storage=done.request.storage, **{**same, **changes})
    with pytest.raises(StudyError, match=message):
        open_search(changed)


def test_another_corpus_under_the_same_name_is_refused(
    done: Done, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    other = make_corpus(tmp_path / "music", tracks=21)
    request = replace(
        done.request, study=done.found.study, options=done.request.options.changed(data=str(other))
    )
    with pytest.raises(StudyError, match=r"its corpus was music with the digest \w+, now music"):
        open_search(request)


@pytest.mark.parametrize(
    ("direction", "trials", "message"),
    [("maximize", 0, "has the direction maximize"), ("minimize", 1, "is no study of genre-mlflow")],
)
def test_foreign_study_under_the_same_name_is_refused(
    store: MlflowClient, make_request: MakeRequest, direction: str, trials: int, message: str
) -> None:
    address = f"sqlite:///{Path.cwd()}/other.db"
    foreign = optuna.create_study(storage=address, study_name="theirs", direction=direction)
    foreign.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=trials)
    with pytest.raises(StudyError, match=message):
        open_search(make_request(study="theirs", storage=address))


def instant(search: Search, trial: Trial, observers: object) -> float:
    """No training: the value is the dropout."""
    setting = search.space.suggest(trial, search.options)
    begin_run(search, trial)
    trial.report(setting["dropout"], 1)
    return float(setting["dropout"])


def work(request: Request, objective: Callable[..., float] = instant) -> Search:
    search = open_search(request)
    Worker(search, inf, objective=objective).work()
    return search


def test_more_trials_go_on_in_the_same_parent(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    first = work(make_request(trials=3))
    assert finish(first) is not None
    more = work(make_request(trials=5))
    found = finish(more)
    assert found is not None
    assert found.trials == 5
    assert len(runs_of(store, "search")) == 1
    assert [t.number for t in more.trials(TrialState.COMPLETE)] == [0, 1, 2, 3, 4]


def test_study_depends_on_seed_and_trial_alone(tmp_path: Path, make_request: MakeRequest) -> None:
    settings = []
    for name, pieces in (("whole", [6]), ("pieces", [2, 3, 6])):
        with store_in(tmp_path / name):
            for trials in pieces:
                search = work(make_request(trials=trials))
            settings.append([t.params for t in search.trials()])
    assert settings[0] == settings[1]
    assert len({str(params) for params in settings[0]}) == 6


def test_grid_tries_each_point_once_and_ends(
    store: MlflowClient, make_request: MakeRequest, tmp_path: Path
) -> None:
    space = tmp_path / "grid.yaml"
    space.write_text("dropout: [0.1, 0.5]\nbatch_size: [16, 32]\n")
    search = work(make_request(trials=50, sampler="grid", space=str(space)))
    points = [(t.params["dropout"], t.params["batch_size"]) for t in search.trials()]
    assert sorted(points) == [(0.1, 16), (0.1, 32), (0.5, 16), (0.5, 32)]
    assert points[0] == (0.5, 32)
    assert finish(search) is not None


def test_last_step_of_the_progress_is_the_best_when_trials_end_in_another_order(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    def outrun(search: Search, trial: Trial, observers: object) -> float:
        instant(search, trial, observers)
        if trial.number == 0:  # another worker takes trial 1 and ends it before
            other = Worker(open_search(make_request(trials=2)), inf, (), instant)
            other.run(other.next_trial())
            return 0.1
        return 0.9

    search = work(make_request(trials=2), outrun)
    progress = store.get_metric_history(search.runs.parent.id, "best_val_loss")
    assert [metric.step for metric in progress] == [1, 2]
    assert store.get_run(search.runs.parent.id).data.metrics["best_val_loss"] == 0.1


def test_folder_of_any_name_has_a_study(
    store: MlflowClient, make_request: MakeRequest, make_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    request = make_request(trials=1, final_seeds=1)
    options = request.options.changed(data=str(make_corpus(tmp_path / "rock'n'roll")))
    found = run(replace(request, options=options))
    assert found is not None
    assert found.study == "rock_n_roll-small"
    (final,) = runs_of(store, "final")
    assert final.data.tags["corpus"] == "rock'n'roll"


def test_failing_trial_is_marked_and_the_study_goes_on(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    def fail_once(search: Search, trial: Trial, observers: object) -> float:
        value = instant(search, trial, observers)
        if trial.number == 1:
            raise TrainingError("the loss is nan")
        return value

    search = work(make_request(trials=3), fail_once)
    states = [t.state.name for t in search.trials()]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    failed = runs_of(store, "tune")[1]
    assert failed.info.status == "FAILED"
    assert failed.data.tags["error"] == "the loss is nan"


def test_study_stops_when_one_trial_after_the_other_fails(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    def fail(search: Search, trial: Trial, observers: object) -> float:
        raise TrainingError("the loss is nan")

    with pytest.raises(StudyError, match=r"failed one after the other, .*the loss is nan"):
        work(make_request(trials=20), fail)
    search = open_search(make_request(trials=20))
    assert len(search.trials()) == MAX_FAILURES
    with pytest.raises(StudyError, match="has no completed trial"):
        finish(search)


def test_a_setting_that_lacks_memory_fails_and_the_next_is_tried(
    store: MlflowClient, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VGG, "build", lambda *_: Greedy())
    lack = f"out of memory on cpu {ASKED}; lower batch_size"
    with pytest.raises(StudyError, match=f"{MAX_FAILURES} trials .*, the last one with: {lack}"):
        run(make_request(trials=20))
    failed = runs_of(store, "tune")
    assert [run.info.status for run in failed] == ["FAILED"] * MAX_FAILURES
    assert all(re.match(lack, run.data.tags["error"]) for run in failed)


class Count(Observer):
    """Counts epochs that were really trained."""

    def __init__(self) -> None:
        self.epochs: list[int] = []

    def on_batch_end(self, part: str, done: int, total: int) -> None:
        if part == "val" and done == total:
            self.epochs.append(done)


def test_interrupted_trial_goes_on_from_its_checkpoint_in_its_own_run(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    request = make_request(trials=1, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        run(request, [InterruptAfter(2)])
    (cut_off,) = runs_of(store, "tune")
    assert cut_off.info.status == "FAILED"
    assert runs_of(store, "search")[0].info.status == "KILLED"
    count = Count()
    found = run(request, [count])
    assert found is not None
    assert len(count.epochs) == 1  # two of the three epochs were there
    assert found.first_val_loss == found.best_val_loss
    (reopened,) = runs_of(store, "tune")
    assert reopened.info.run_id == cut_off.info.run_id
    assert reopened.info.status == "FINISHED"
    assert "error" not in reopened.data.tags
    steps = [m.step for m in store.get_metric_history(reopened.info.run_id, "val_accuracy")]
    assert sorted(set(steps)) == [1, 2, 3]
    assert not checkpoint_folder(reopened.info.run_id).exists()
    states = [t.state.name for t in open_search(request).trials()]
    assert states == ["FAIL", "COMPLETE"]
    assert runs_of(store, "search")[0].info.status == "FINISHED"


def test_pruned_trial_is_killed_with_its_epoch(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    def declining(search: Search, trial: Trial, observers: object) -> float:
        search.space.suggest(trial, search.options)
        begin_run(search, trial)
        for epoch in range(1, 11):
            trial.report(0.9 + trial.number * 0.01, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return 0.9 + trial.number * 0.01

    work(make_request(trials=12, epochs=10, pruner="median"), declining)
    runs = runs_of(store, "tune")
    pruned = [run for run in runs if run.info.status == "KILLED"]
    assert pruned
    assert all(re.fullmatch(r"\d", run.data.tags["pruned"]) for run in pruned)
    assert {run.info.status for run in runs} == {"KILLED", "FINISHED"}


def test_time_over_still_ends_the_study(store: MlflowClient, make_request: MakeRequest) -> None:
    search = open_search(make_request(trials=1000))
    trials: list[int] = []

    def last(search: Search, trial: Trial, observers: object) -> float:
        trials.append(trial.number)
        worker.deadline = 0.0
        return instant(search, trial, observers)

    worker = Worker(search, inf, objective=last)
    worker.work()
    found = finish(search)
    assert trials == [0]
    assert found is not None
    assert found.trials == 1


def test_a_trial_begun_while_another_ends_the_study_does_not_leave_it_open(
    store: MlflowClient, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[Finished | None] = []

    def finish_after_another_began(search: Search, observer: Observer | None) -> Finished | None:
        if not ends:
            with quiet():
                search.study.ask()  # of a worker that dies at once
        ends.append(finish(search, observer))
        return ends[-1]

    monkeypatch.setattr("search.run.finish", finish_after_another_began)
    found = run(make_request(trials=1))
    assert ends == [None, found]
    assert found is not None
    assert [run.info.status for run in runs_of(store, "search")] == ["FINISHED"]


def test_trial_that_was_given_away_is_left_alone(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    said: list[str] = []

    def given_away(search: Search, trial: Trial, observers: object) -> float:
        begin_run(search, trial)
        if trial.number == 0:
            search.storage.optuna.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        trial.report(0.5, 1)
        return 0.5

    search = open_search(make_request(trials=1))
    with speaking(said.append):
        Worker(search, inf, objective=given_away).work()
    assert "trial 0 was given to another worker" in said[0]
    assert [t.state.name for t in search.trials()] == ["FAIL", "COMPLETE"]
    statuses = [run.info.status for run in runs_of(store, "tune")]
    assert statuses == ["FAILED", "FINISHED"]


def test_stopped_trial_that_was_given_away_is_not_repeated_twice(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    def stop(search: Search, trial: Trial, observers: object) -> float:
        search.storage.optuna.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        raise KeyboardInterrupt

    search = open_search(make_request(trials=1))
    with pytest.raises(KeyboardInterrupt):
        Worker(search, inf, objective=stop).work()
    assert [t.state.name for t in search.trials()] == ["FAIL"]


def test_run_of_a_worker_that_died_after_its_trial_is_closed(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    search = work(make_request(trials=2))
    run_id = search.trials()[1].user_attrs["run_id"]
    store.update_run(run_id, status="RUNNING")  # as if killed between the two writings
    Worker(search, inf, objective=instant).work()
    assert store.get_run(run_id).info.status == "FINISHED"


def test_mlflow_run_becomes_a_nested_worker(
    store: MlflowClient, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = store.create_experiment("theirs")
    joined = store.create_run(experiment).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", joined)
    search = open_search(make_request())
    tags = store.get_run(joined).data.tags
    assert tags["mlflow.parentRunId"] == search.runs.parent.id
    assert tags["task"] == "worker"
    assert search.runs.parent.experiment_id == experiment


def test_study_in_another_mlflow_store_is_refused(
    tmp_path: Path, make_request: MakeRequest
) -> None:
    address = f"sqlite:///{tmp_path}/studies.db"
    with store_in(tmp_path / "one"):
        open_search(make_request(storage=address))
    there = "which is not in this MLflow store"
    with store_in(tmp_path / "two"), pytest.raises(ModelError, match=there):
        open_search(make_request(storage=address))
