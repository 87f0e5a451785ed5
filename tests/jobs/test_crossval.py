"""Cross-validation: who answers for whom, what is logged, and that a kill changes nothing."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from support import EXPERIMENT, runs_in, small_options, store_in

from genre_mlflow.cli.base import speaking
from genre_mlflow.corpus.corpus import open_corpus
from genre_mlflow.corpus.splits import undealt
from genre_mlflow.errors import DataError, ModelError, SettingsError
from genre_mlflow.evaluation import metrics
from genre_mlflow.evaluation.predictions import logits_of, predict_tracks, read_predictions
from genre_mlflow.jobs.compare import compare
from genre_mlflow.jobs.crossval import Crossval, crossval
from genre_mlflow.jobs.crossval_settings import POINTLESS, CrossvalSettings
from genre_mlflow.jobs.fitting import new_classifier
from genre_mlflow.jobs.held_out import Bench, answer, deal
from genre_mlflow.jobs.tracks import open_source
from genre_mlflow.jobs.train import train
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.run import TrackedRun
from genre_mlflow.tracking.sessions import checkpoint_folder
from genre_mlflow.training.checkpoint import CheckpointFolder
from genre_mlflow.training.device import choose_device
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.observer import Observer

CHILDREN = "tags.task = 'fold'"
GROUPS = "track_id,artist\n" + "".join(
    f"{genre}.{track:05d},{genre} {track // 2}\n"
    for genre in ("blues", "jazz", "rock") for track in range(8)
)  # fmt: skip


class InterruptIn(Observer):
    """Interrupts as the user would, when an epoch of a fold that is trained has ended."""

    def __init__(self, fold: int, epoch: int) -> None:
        self.fold, self.epoch, self.begun = fold, epoch, 0
        self.epochs: list[int] = []

    def on_train_begin(self, history: Sequence[EpochResult], epochs: int) -> None:
        self.begun += 1

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        self.epochs.append(result.epoch)
        if (self.begun, result.epoch) == (self.fold, self.epoch):
            raise KeyboardInterrupt


def baseline(whole: "Whole", **changes: Any) -> TrainOptions:
    """What is fitted at once, on the same tracks."""
    small = {"image_size": 64, "image_width": 64, "network": "majority"}
    return TrainOptions.from_flat({**small, "data": whole.options.corpus.data, **changes})


def validated(options: TrainOptions, folds: int = 3, repeats: int = 1, **more: Any) -> Crossval:
    settings = CrossvalSettings(folds, repeats)
    return crossval(options, settings, experiment=EXPERIMENT, **more)


def artifact(client: MlflowClient, run_id: str, path: str) -> Path:
    return Path(client.download_artifacts(run_id, path))


def pooled(client: MlflowClient, run_id: str) -> pd.DataFrame:
    return read_predictions(artifact(client, run_id, "tables/predictions.csv"))


def parents(client: MlflowClient) -> list[Run]:
    return runs_in(client, words="tags.task = 'crossval'")


@dataclass(frozen=True)
class Whole:
    """A cross-validation that was never stopped, of two artists' tracks each."""

    client: MlflowClient
    found: Crossval
    options: TrainOptions
    folder: Path

    @property
    def run(self) -> Run:
        return self.client.get_run(self.found.run_id)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, make_corpus: Callable[..., Path]):
    folder = tmp_path_factory.mktemp("crossval")
    (folder / "groups.csv").write_text(GROUPS)
    options = small_options(
        make_corpus(folder / "music", tracks=8), groups=str(folder / "groups.csv"), epochs=2
    )
    with store_in(folder) as client:
        yield Whole(client, validated(options, repeats=2), options, folder)


@pytest.fixture
def same_home(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Derived files where the whole cross-validation has its own."""
    monkeypatch.setenv("GENRE_HOME", str(whole.folder / ".genre"))


def test_every_track_is_answered_for_once_a_repeat_and_no_artist_twice_apart(whole: Whole) -> None:
    table = pooled(whole.client, whole.found.run_id)
    for _, rows in table.groupby("repeat"):
        assert len(rows) == rows["track_id"].nunique() == 24
        assert (rows.groupby("group")["fold"].nunique() == 1).all()
        assert rows["group"].nunique() == 12
    assert sorted(table["repeat"].unique()) == [1, 2]


def test_what_is_answered_for_is_neither_learnt_from_nor_watched(whole: Whole) -> None:
    _, dealt = deal(whole.options, CrossvalSettings(3, 2))
    for fold in dealt:
        learnt, watched, unseen = (
            {*rows["track_id"]} for rows in (fold.learnt, fold.watched, fold.unseen)
        )
        assert watched < learnt
        assert not learnt & unseen
        assert len(learnt | unseen) == 24
        assert not {*fold.learnt["group"]} & {*fold.unseen["group"]}


def test_the_weights_of_the_last_epoch_answer(
    store: MlflowClient, whole: Whole, same_home: None
) -> None:
    corpus, (fold, *_) = deal(whole.options.changed(epochs=6, lr=0.3), CrossvalSettings(3))
    device = choose_device("cpu")
    bench = Bench(corpus, open_source(corpus, whole.options), device, Observer())
    run = TrackedRun.create(store.create_experiment(EXPERIMENT), "fold", {})
    found = answer(fold, bench, run).predictions
    classifier = new_classifier(fold.options, corpus.genres)
    weights = CheckpointFolder(checkpoint_folder(run.id)).load_weights(6)
    classifier.network.load_state_dict(weights)
    last = predict_tracks(classifier, fold.unseen, bench.tracks(fold.unseen))
    np.testing.assert_array_equal(logits_of(found), logits_of(last))


def test_repeats_deal_and_train_anew(whole: Whole) -> None:
    table = pooled(whole.client, whole.found.run_id).set_index("track_id")
    one, two = (rows.sort_index() for _, rows in table.groupby("repeat"))
    assert list(one["fold"]) != list(two["fold"])
    seeds = {
        (run.data.params["repeat"], run.data.params["seed"], run.data.params["split_seed"])
        for run in runs_in(whole.client, words=CHILDREN)
    }
    assert seeds == {("1", "0", "0"), ("2", "1", "1")}


def test_each_fold_has_a_nested_run_with_its_predictions(whole: Whole) -> None:
    runs = runs_in(whole.client, words=CHILDREN)
    table = pooled(whole.client, whole.found.run_id)
    assert len(runs) == 6
    for run in runs:
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == whole.found.run_id
        key = int(run.data.tags["repeat"]), int(run.data.tags["fold"])
        own = read_predictions(artifact(whole.client, run.info.run_id, "predictions.csv"))
        rows = table[(table["repeat"] == key[0]) & (table["fold"] == key[1])]
        assert list(own["track_id"]) == list(rows["track_id"])
        assert run.data.metrics["fold_accuracy"] == pytest.approx(metrics.accuracy(own))
        assert not [name for name in run.data.metrics if name.startswith("val")]
        assert run.data.params["fold"] == str(key[1])
        assert not checkpoint_folder(run.info.run_id).exists()


def test_the_parent_has_tables_figures_and_intervals(whole: Whole) -> None:
    m = whole.run.data.metrics
    table = pooled(whole.client, whole.found.run_id)
    assert m["accuracy"] == pytest.approx(metrics.accuracy(table))
    assert m["loss"] == pytest.approx(metrics.log_loss(table))
    for name in ("accuracy", "macro_f1", "loss"):
        assert m[f"{name}_low"] <= m[name] <= m[f"{name}_high"]
    assert m["over_repeats_low"] <= m["accuracy"] <= m["over_repeats_high"]
    steps = whole.client.get_metric_history(whole.found.run_id, "fold_accuracy")
    assert [metric.step for metric in steps] == [1, 2, 3, 4, 5, 6]
    by_fold = pd.read_csv(artifact(whole.client, whole.found.run_id, "tables/folds.csv"))
    assert list(by_fold["accuracy"]) == pytest.approx([s.value for s in steps], abs=1e-4)
    saved = json.loads(
        artifact(whole.client, whole.found.run_id, "tables/confusion.json").read_text()
    )
    assert sum(map(sum, saved["confusion"])) == 48
    figures = {f.path for f in whole.client.list_artifacts(whole.found.run_id, "figures")}
    assert figures == {"figures/confusion_counts.png", "figures/confusion_rates.png"}
    assert whole.run.info.status == "FINISHED"
    assert whole.run.data.params["folds"] == "3"


def test_nothing_is_registered(whole: Whole) -> None:
    assert whole.client.search_registered_models() == []


@pytest.mark.slow
@pytest.mark.parametrize(("fold", "epoch"), [(1, 1), (5, 2)])
def test_one_that_was_interrupted_ends_as_if_never_stopped(
    store: MlflowClient, whole: Whole, fold: int, epoch: int
) -> None:
    said: list[str] = []
    with speaking(said.append), pytest.raises(KeyboardInterrupt):
        validated(whole.options, repeats=2, observer=InterruptIn(fold, epoch))
    (run,) = parents(store)
    assert {r.info.status for r in runs_in(store)} <= {"KILLED", "FINISHED"}
    assert said[-1].endswith(f"genre-mlflow crossval --resume {run.info.run_id}")
    again = InterruptIn(9, 9)
    found = validated(TrainOptions(), 10, resume=run.info.run_id, observer=again)
    assert again.begun == 6 - fold + 1  # what was done is not done again
    assert again.epochs[0] == epoch  # that of the checkpoint is told once more
    assert found.metrics == whole.found.metrics
    pd.testing.assert_frame_equal(
        pooled(store, run.info.run_id), pooled(whole.client, whole.found.run_id)
    )
    assert len(runs_in(store, words=CHILDREN)) == 6
    assert {r.info.status for r in runs_in(store)} == {"FINISHED"}


@pytest.mark.slow
def test_one_that_is_done_is_told_again_and_nothing_is_logged_twice(
    store: MlflowClient, whole: Whole
) -> None:
    first = validated(whole.options)
    watching = InterruptIn(9, 9)
    again = validated(TrainOptions(), resume=first.run_id, observer=watching)
    assert (again.metrics, watching.begun) == (first.metrics, 0)
    for name in first.metrics:
        assert len(store.get_metric_history(first.run_id, name)) == 1, name


@pytest.mark.slow
def test_a_baseline_is_fitted_in_each_fold(store: MlflowClient, whole: Whole) -> None:
    found = validated(baseline(whole, network="statistics"), 4)
    assert found.metrics["accuracy"] > 0.9
    assert len(found.folds) == 4


def test_tracks_that_lists_name_are_taken_those_of_test_too(
    store: MlflowClient, whole: Whole, tmp_path: Path
) -> None:
    for part, tracks in (("train", range(4)), ("val", range(4, 6)), ("test", range(6, 7))):
        names = [f"{genre}.{n:05d}\n" for genre in ("blues", "jazz", "rock") for n in tracks]
        (tmp_path / f"{part}.txt").write_text("".join(names))
    found = validated(baseline(whole, split_dir=str(tmp_path)))
    assert found.n_recordings == 21


@pytest.mark.parametrize(
    ("changes", "folds", "error", "message"),
    [
        ({}, 9, DataError, "9 folds need as many groups of each genre, .*'blues' with 8"),
        ({"refit": True}, 3, SettingsError, r"^refit has no meaning .*leave it out$"),
        ({"patience": 3}, 3, SettingsError, "patience has no meaning"),
        ({"seed": 2**32 - 1}, 3, SettingsError, "seed is 4294967296"),
    ],
)
def test_what_cannot_be_done_is_told_before_a_run_is_opened(
    store: MlflowClient, whole: Whole, changes, folds: int, error, message: str
) -> None:
    options = small_options(Path(whole.options.corpus.data), **changes)
    with pytest.raises(error, match=message):
        validated(options, folds, repeats=2)
    assert store.get_experiment_by_name(EXPERIMENT) is None


def test_every_option_without_a_meaning_is_one() -> None:
    assert POINTLESS.keys() <= TrainOptions().flat().keys()


@pytest.mark.parametrize("settings", [{"folds": 1}, {"folds": 0}, {"repeats": 0}])
def test_less_than_two_folds_and_one_repeat_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="allowed are"):
        CrossvalSettings(**settings)


def test_other_options_are_refused_when_one_is_resumed(whole: Whole, same_home: None) -> None:
    run_id = whole.found.run_id
    with pytest.raises(ModelError, match="cannot be resumed with folds 4: it began with 3"):
        validated(whole.options, 4, resume=run_id, given={"folds"})
    more = whole.options.changed(epochs=5)
    with pytest.raises(SettingsError, match=r"epochs was 2, now 5\); leave them out"):
        validated(more, resume=run_id, given={"epochs"})


@pytest.mark.slow
def test_neither_command_goes_on_with_a_run_of_the_other(store: MlflowClient, whole: Whole) -> None:
    options = baseline(whole)
    run_id = validated(options).run_id
    with pytest.raises(ModelError, match=f"run {run_id} is no training run of genre-mlflow"):
        train(options, experiment=EXPERIMENT, resume=run_id)
    child = runs_in(store, words=CHILDREN)[0].info.run_id
    trained = train(options, experiment=EXPERIMENT).run_id
    for other in (child, trained):
        with pytest.raises(ModelError, match=f"run {other} is no cross-validation of genre-mlflow"):
            validated(options, resume=other)
    with pytest.raises(ModelError, match="there is no run 'f00' in this store"):
        validated(options, resume="f00")
    with pytest.raises(ModelError, match=r"is a cross-validation, .*; compare trainings"):
        compare([run_id], [trained], experiment=EXPERIMENT)


@pytest.mark.slow
def test_groups_that_have_changed_are_refused(
    store: MlflowClient, whole: Whole, tmp_path: Path
) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text(GROUPS)
    options = baseline(whole, groups=str(groups))
    run_id = validated(options).run_id
    groups.write_text(GROUPS.replace("rock 3", "rock 2"))
    with pytest.raises(ModelError, match="its corpus had the digest"):
        validated(options, resume=run_id)


def test_a_folder_that_is_split_is_taken_whole(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    for part in ("train", "val", "test"):
        make_corpus(tmp_path / "music" / part, tracks=2)
    options = small_options(tmp_path / "music")
    corpus = open_corpus(options.corpus, options.split, undealt)
    assert len(corpus.manifest) == 18
    assert corpus.counts() == {"train": 6, "val": 6, "test": 6}
