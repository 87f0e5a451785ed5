"""Runs that somebody deletes while their study goes on."""

from collections.abc import Callable
from importlib.util import find_spec
from math import inf
from pathlib import Path

import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState
from support import EXPERIMENT

from genre_mlflow.errors import ModelError
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.observer import Observer
from search.request import Request
from search.run import run
from search.study import Search, open_search
from search.worker import Worker

pytestmark = pytest.mark.slow

MakeRequest = Callable[..., Request]


class DeleteRun(Observer):
    """Deletes a run of this task after an epoch, once."""

    def __init__(self, client: MlflowClient, task: str) -> None:
        self.client, self.task, self.deleted = client, task, ""

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        if not self.deleted:
            experiment = self.client.get_experiment_by_name(EXPERIMENT).experiment_id
            words = f"tags.task = '{self.task}'"
            self.deleted = self.client.search_runs([experiment], words)[0].info.run_id
            self.client.delete_run(self.deleted)


def states(search: Search) -> list[TrialState]:
    return [trial.state for trial in search.trials()]


def test_a_trial_whose_run_is_deleted_is_tried_again_in_another(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    search = open_search(make_request(trials=2))
    deleting = DeleteRun(store, "tune")
    Worker(search, inf, [deleting]).work()
    assert sorted(states(search)) == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAIL]
    lost = search.trials(TrialState.FAIL)[0]
    assert lost.user_attrs["error"] == "its run was deleted"
    (again,) = (t for t in search.trials() if t.system_attrs.get("failed_trial") == lost.number)
    assert again.params == lost.params
    assert again.user_attrs["run_id"] != deleting.deleted
    assert store.get_run(again.user_attrs["run_id"]).info.status == "FINISHED"


def test_a_trial_that_was_cut_off_does_not_go_on_in_a_run_that_is_deleted(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    class Stop(Observer):
        def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
            raise KeyboardInterrupt

    search = open_search(make_request(trials=1))
    with pytest.raises(KeyboardInterrupt):
        Worker(search, inf, [Stop()]).work()
    (cut_off,) = search.trials(TrialState.FAIL)
    store.delete_run(cut_off.user_attrs["run_id"])
    Worker(search, inf).work()
    (again,) = search.trials(TrialState.COMPLETE)
    assert again.params == cut_off.params
    assert again.user_attrs["run_id"] != cut_off.user_attrs["run_id"]


def test_a_study_whose_parent_is_deleted_says_how_to_restore_it(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    request = make_request(trials=1)
    with pytest.raises(ModelError, match=r"run \w+ was deleted; restore it with: ") as caught:
        run(request, [DeleteRun(store, "search")])
    run_id = str(caught.value).split()[1]
    with pytest.raises(
        ModelError, match=rf"tracked in run {run_id}, which is deleted; .*restore it with"
    ):
        run(request)
    store.restore_run(run_id)
    assert run(request) is not None


def test_a_final_run_that_is_deleted_is_trained_again(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    request = make_request(trials=1, final_seeds=1)
    with pytest.raises(ModelError, match=r"run \w+ was deleted"):
        run(request, final=DeleteRun(store, "final"))
    found = run(request)
    assert found is not None
    (final,) = found.final_runs
    assert store.get_run(final).info.status == "FINISHED"


@pytest.mark.skipif(bool(find_spec("boto3")), reason="boto3 is installed here")
def test_a_study_whose_artifacts_cannot_be_kept_opens_no_run(
    store: MlflowClient, make_request: MakeRequest
) -> None:
    experiment = store.create_experiment(EXPERIMENT, "s3://bucket/music")
    with pytest.raises(ModelError, match="not installed here: boto3"):
        open_search(make_request())
    assert store.search_runs([experiment]) == []
