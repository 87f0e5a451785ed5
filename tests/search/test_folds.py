"""Trials and finalists on folds: what is trained on, what is kept, what goes on."""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from statistics import mean

import numpy as np
import optuna
import pytest
from mlflow import MlflowClient
from support import runs_in

from genre_mlflow.errors import StudyError, TrainingError
from genre_mlflow.tracking.sessions import checkpoint_folder
from genre_mlflow.training.observer import Observer
from search.best import finish
from search.finalists import finalists_of
from search.objective import train_once
from search.request import Request
from search.run import run
from search.strategies import make_pruner
from search.study import open_search
from search.worker import Worker

MakeRequest = Callable[..., Request]


class InterruptIn(Observer):
    """Interrupts as the user would, at the end of the second epoch of a fold."""

    def __init__(self, fold: int) -> None:
        self.fold, self.begun = fold, 0

    def on_train_begin(self, history, epochs) -> None:
        self.begun += 1

    def on_epoch_end(self, result, weights) -> None:
        if (self.begun, result.epoch) == (self.fold, 2):
            raise KeyboardInterrupt


def history(client: MlflowClient, run_id: str, name: str) -> dict[int, float]:
    return {metric.step: metric.value for metric in client.get_metric_history(run_id, name)}


def test_folds_share_out_all_tracks_but_those_of_the_test_set(store, make_request: MakeRequest):
    search = open_search(make_request(folds=3))
    both = set().union(*(tracks._rows.tolist() for tracks in search.tracks.values()))
    validated = [set(tracks["val"]._rows.tolist()) for tracks in search.folds]
    assert sum(map(len, validated)) == len(both)
    assert set().union(*validated) == both
    for tracks, val in zip(search.folds, validated, strict=True):
        assert set(tracks["train"]._rows.tolist()) == both - val


@pytest.mark.slow
def test_a_trial_on_folds_says_their_mean(store, make_request: MakeRequest) -> None:
    found = run(make_request(trials=1, folds=3))
    assert found is not None
    (trial,) = runs_in(store, words="tags.task = 'tune'")
    losses = history(store, trial.info.run_id, "fold_val_loss")
    accuracies = history(store, trial.info.run_id, "fold_val_accuracy")
    assert sorted(losses) == [1, 2, 3]
    assert len(set(losses.values())) == 3
    assert trial.data.metrics["best_val_loss"] == pytest.approx(mean(losses.values()))
    assert found.best_val_loss == pytest.approx(mean(losses.values()))
    assert found.best_val_accuracy == pytest.approx(mean(accuracies.values()))
    assert "best_epoch" not in trial.data.metrics
    assert not checkpoint_folder(trial.info.run_id).exists()


@pytest.mark.slow
def test_a_trial_that_was_cut_off_in_a_fold_goes_on_there(store, make_request: MakeRequest) -> None:
    request = make_request(trials=1, folds=3, epochs=3)
    unbroken = run(make_request(trials=1, folds=3, epochs=3, study="unbroken"))
    with pytest.raises(KeyboardInterrupt):
        run(request, [InterruptIn(fold=2)])
    counted = InterruptIn(fold=9)
    found = run(request, [counted])
    assert counted.begun == 2  # the rest of the second fold, and the third
    assert found.best_val_loss == unbroken.best_val_loss
    assert [t.state.name for t in open_search(request).trials()] == ["FAIL", "COMPLETE"]


def test_folds_cannot_be_changed_under_the_same_name(store, make_request: MakeRequest) -> None:
    open_search(make_request(folds=3))
    with pytest.raises(StudyError, match=r"is another one: folds was 3, now 4"):
        open_search(make_request(folds=4))
    with pytest.raises(StudyError, match=r"is another one: folds was 3, now 0"):
        open_search(make_request())


@pytest.mark.slow
def test_finalists_are_the_best_settings_and_the_best_on_folds_wins(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    request = make_request(trials=4, folds=2, finalists=2)
    search = open_search(request)
    Worker(search, inf).work()
    expected = sorted(search.trials(), key=lambda trial: trial.value)[:2]
    assert [t.number for t in finalists_of(search)] == [t.number for t in expected]
    found = finish(search)
    assert found is not None
    assert set(found.finalists) == {trial.number for trial in expected}
    assert found.best_trial == found.finalists[0]
    assert found.finalist_losses == sorted(found.finalist_losses)
    finalists = runs_in(store, words="tags.task = 'finalist'")
    by_trial = {int(r.data.tags["trial"]): r.data.metrics["best_val_loss"] for r in finalists}
    pairs = zip(found.finalists, found.finalist_losses, strict=True)
    assert by_trial == pytest.approx(dict(pairs))
    assert [finalist.info.status for finalist in finalists] == ["FINISHED"] * 2
    assert not any(checkpoint_folder(finalist.info.run_id).exists() for finalist in finalists)
    assert finish(open_search(request)) == found
    assert len(runs_in(store, words="tags.task = 'finalist'")) == 2


@pytest.mark.slow
def test_more_trials_and_finalists_measure_only_what_is_new(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    run(make_request(trials=3, folds=2, finalists=1))
    found = run(make_request(trials=3, folds=2, finalists=3))
    assert found is not None
    assert len(found.finalists) == 3
    assert len(runs_in(store, words="tags.task = 'finalist'")) == 3


@pytest.mark.slow
def test_a_finalist_that_was_cut_off_goes_on(
    store: MlflowClient, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genre_mlflow.tracking.run import TrackedRun

    request = make_request(trials=2, folds=3, finalists=1)
    log_metrics = TrackedRun.log_metrics

    def stop_after_first_fold(self, values, step, *more) -> None:
        log_metrics(self, values, step, *more)
        if "fold_val_loss" in values and step == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrackedRun, "log_metrics", stop_after_first_fold)
        run(request)
    (cut_off,) = runs_in(store, words="tags.task = 'finalist'")
    assert cut_off.info.status == "KILLED"
    found = run(request)
    assert found is not None
    (ended,) = runs_in(store, words="tags.task = 'finalist'")
    assert (ended.info.run_id, ended.info.status) == (cut_off.info.run_id, "FINISHED")
    losses = history(store, ended.info.run_id, "fold_val_loss")
    assert found.finalist_losses == pytest.approx([mean(losses.values())])


@pytest.mark.slow
def test_other_folds_compare_the_finalists_anew(store, make_request: MakeRequest) -> None:
    two = run(make_request(trials=1, folds=2, finalists=1))
    three = run(make_request(trials=1, folds=3, finalists=1))
    assert (two.folds, three.folds) == (2, 3)
    assert two.finalist_losses != three.finalist_losses
    finalists = runs_in(store, words="tags.task = 'finalist'")
    assert [finalist.data.tags["folds"] for finalist in finalists] == ["2", "3"]


@pytest.mark.slow
def test_a_finalist_that_cannot_be_trained_is_left_out(
    store: MlflowClient, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = make_request(trials=2, folds=2, finalists=2)
    search = open_search(request)
    Worker(search, inf).work()
    best = min(search.trials(), key=lambda trial: trial.value)

    def unlucky(search, options, *more):
        if options.training.lr == search.space.options(best.params)["lr"]:
            raise TrainingError("validation loss is nan")
        return train_once(search, options, *more)

    with monkeypatch.context() as patch:
        patch.setattr("search.objective.train_once", unlucky)
        found = finish(search)
    assert found is not None
    (other,) = {0, 1} - {best.number}
    assert found.finalists == [other]
    assert found.best_trial == other
    tags = [run.data.tags.get("error") for run in runs_in(store, words="tags.task = 'finalist'")]
    assert sorted(map(str, tags)) == ["None", "validation loss is nan"]
    assert finish(open_search(request)) == found


@pytest.mark.slow
def test_where_no_finalist_can_be_trained_the_study_says_so(
    store: MlflowClient, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = open_search(make_request(trials=1, folds=2, finalists=1))
    Worker(search, inf).work()

    def unlucky(*_):
        raise TrainingError("validation loss is nan")

    monkeypatch.setattr("search.objective.train_once", unlucky)
    with pytest.raises(StudyError, match=r"^no finalist of study 'music-small' can be trained"):
        finish(search)


@pytest.mark.slow
def test_folds_of_other_groups_are_another_study(
    store: MlflowClient, make_request: MakeRequest, music: Path, tmp_path: Path
) -> None:
    open_search(make_request())
    table = tmp_path / "groups.csv"
    table.write_text("track_id,artist\nblues.00000,a\nblues.00001,a\n")
    lists = make_request().options
    other = lists.changed(groups=str(table))
    with pytest.raises(StudyError, match=r"is another one: .*grouping was \w+, now \w+"):
        open_search(replace(make_request(), options=other))


@pytest.mark.slow
def test_the_same_setting_is_a_finalist_once(store, make_request: MakeRequest) -> None:
    def instant(search, trial, observers) -> float:
        search.space.suggest(trial, search.options)
        return float(trial.number)

    request = make_request(
        trials=4, folds=2, finalists=4, enqueue=("lr=0.002 dropout=0.1", "lr=0.002 dropout=0.2")
    )
    search = open_search(request)
    search.study.enqueue_trial({"lr": 0.002, "dropout": 0.1})  # again
    Worker(search, inf, objective=instant).work()
    settings = [tuple(sorted(trial.params.items())) for trial in search.trials()]
    assert len(finalists_of(search)) == len(set(settings)) < len(settings)


def test_wilcoxon_ends_a_trial_that_is_worse_on_the_folds_it_has_seen() -> None:
    study = optuna.create_study(direction="minimize", pruner=make_pruner("wilcoxon", 8))
    rng = np.random.default_rng(0)
    hardness = rng.uniform(1, 2, 8)  # of each fold

    def ended_after(worse_by: float) -> int:
        trial = study.ask()
        for fold, hard in enumerate(hardness, start=1):
            trial.report(hard + worse_by + rng.normal(0, 0.01), fold)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                return fold
        study.tell(trial, float(hardness.mean()) + worse_by)
        return 8

    assert ended_after(0.0) == 8
    assert 4 <= ended_after(0.2) < 8
    assert ended_after(-0.2) == 8
