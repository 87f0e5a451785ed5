"""The folds of a cross-validation that are done."""

import gated
import pandas as pd
import pytest
from mlflow import MlflowClient

from genre_mlflow.jobs.crossval_settings import CrossvalSettings
from genre_mlflow.jobs.folds import needed
from genre_mlflow.tracking.folds import CLASSIFIER, SEGMENTS_FILE, FoldRuns, log_fold
from genre_mlflow.tracking.run import TrackedRun


@pytest.fixture
def folds(store: MlflowClient) -> FoldRuns:
    """Of two repeats the first fold, with its tables and no classifier."""
    run = TrackedRun.create(store.create_experiment("folds"), "folds", {})
    runs = FoldRuns(run, ("music", "abc"))
    for key in ((1, 1), (2, 1)):
        with runs.opened(key, {}) as child:
            log_fold(child, gated.answers(20, 20), pd.DataFrame({"track_id": ["a"]}), {}, 0)
    return FoldRuns(run, ("music", "abc"))


@pytest.mark.parametrize(("final", "lost", "done"), [
    ("none", SEGMENTS_FILE, {(1, 1), (2, 1)}), ("all", "", {(1, 1), (2, 1)}),
    ("all", SEGMENTS_FILE, {(1, 1)}), ("ensemble", "", {(2, 1)}),
])  # fmt: skip
def test_a_fold_without_what_the_final_model_is_made_of_is_done_again(folds, final, lost, done):
    if lost:
        folds.known[2, 1].delete_artifact(lost)
    settings = CrossvalSettings(2, 2, final)
    assert folds.done(lambda key: needed(settings, key)).keys() == done


def test_the_ensemble_is_of_the_first_repeat() -> None:
    settings = CrossvalSettings(2, 2, "ensemble")
    assert CLASSIFIER in needed(settings, (1, 2))
    assert CLASSIFIER not in needed(settings, (2, 1))
