"""A network that is trained again on train and validation, when all is chosen."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from safetensors.torch import load_file, save_file
from support import EXPERIMENT, InterruptAfter, runs_in, small_options
from torchvision.models import mobilenet_v3_small

import genre_mlflow
from genre_mlflow.errors import DataError, GenreError, SettingsError
from genre_mlflow.evaluation.predictions import part, read_predictions
from genre_mlflow.files.home import home
from genre_mlflow.jobs import fitting, out_of_fold
from genre_mlflow.jobs.evaluate import evaluate
from genre_mlflow.jobs.fitting import AGAIN, BOTH
from genre_mlflow.jobs.train import train
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.sessions import checkpoint_folder
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.observer import Observer


@pytest.fixture
def options(tmp_path: Path, make_corpus: Callable[..., Path]) -> TrainOptions:
    return small_options(make_corpus(tmp_path / "music", tracks=12), ensemble=2, ema_decay=0.5)


def final_weights(run_id: str) -> dict[str, torch.Tensor]:
    file = max((checkpoint_folder(run_id) / AGAIN).glob("epoch-*.safetensors"))
    return load_file(file)


def table_of(client: MlflowClient, run_id: str) -> pd.DataFrame:
    return read_predictions(Path(client.download_artifacts(run_id, "tables/predictions.csv")))


@pytest.mark.slow
def test_it_learns_from_both_and_only_the_test_set_is_its_own(
    store: MlflowClient, options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train(options, experiment=EXPERIMENT)
    seen = []
    fit = fitting.fit
    monkeypatch.setattr(
        fitting,
        "fit",
        lambda c, data, *rest, **more: seen.append(data) or fit(c, data, *rest, **more),
    )
    again = train(options.changed(refit=True), experiment=EXPERIMENT)
    first, second = seen
    assert len(second["train"]) == len(first["train"]) + len(first["val"])
    assert len(first["val"]) > 0

    # What validation says is what it said before; the model that answers is another.
    one, two = (table_of(store, outcome.run_id) for outcome in (plain, again))
    for split in ("train", "val"):
        pd.testing.assert_frame_equal(part(one, split), part(two, split))
    assert not part(one, "test").equals(part(two, "test"))
    assert plain.metrics["best_val_loss"] == again.metrics["best_val_loss"]

    served = genre_mlflow.load(f"models:/genre-classifier/{again.version}")
    ours = served.network.state_dict()
    assert all(torch.equal(ours[n], w) for n, w in final_weights(again.run_id).items())
    row = part(two, "test").iloc[0]
    assert served.predict(row["path"]).confidence == pytest.approx(row["confidence"], abs=1e-5)

    run = store.get_run(again.run_id)
    assert run.data.params["refit"] == "true"
    card = Path(store.download_artifacts(again.run_id, "model_card.md")).read_text("utf-8")
    assert "a network was trained anew on train and validation together" in card
    description = store.get_model_version("genre-classifier", again.version).description
    assert "then trained again on train and validation together" in description
    (model,) = store.search_logged_models(
        [run.info.experiment_id], f"source_run_id = '{again.run_id}' AND name = 'classifier'"
    )
    assert model.params["epoch"] == "3"
    # What the first network says of validation is no figure of the model.
    names = {metric.key for metric in model.metrics}
    assert "test_accuracy" in names
    assert not any(name.startswith("best") for name in names)
    assert "best_val_accuracy" in run.data.metrics

    # It was trained on validation, too.
    version = f"models:/genre-classifier/{again.version}"
    known = evaluate(version, options, split="val", experiment=EXPERIMENT).known
    assert (len(known.train), known.val) == (known.n, [])


@pytest.mark.slow
def test_stopped_within_it_a_run_ends_as_if_it_had_never_stopped(
    store: MlflowClient, options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = options.changed(refit=True)
    unbroken = train(options, experiment=EXPERIMENT)

    def stop(self: object, result: EpochResult, weights: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fitting.Quarters, "on_epoch_end", stop)
        train(options, experiment=EXPERIMENT)
    *_, begun = runs_in(store)
    assert begun.info.status == "KILLED"
    resumed = train(options, experiment=EXPERIMENT, resume=begun.info.run_id)
    theirs, ours = final_weights(unbroken.run_id), final_weights(resumed.run_id)
    assert all(torch.equal(ours[name], weights) for name, weights in theirs.items())
    assert resumed.metrics == unbroken.metrics

    longer = train(
        options.changed(epochs=5), experiment=EXPERIMENT, resume=resumed.run_id, given={"epochs"}
    )
    assert longer.run_id == resumed.run_id
    names = {path.name for path in (checkpoint_folder(longer.run_id) / AGAIN).iterdir()}
    assert "epoch-0005.safetensors" in names


def tracks_seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[set[str], set[str]]]:
    """What every further training learns from, and what is answered for by it, as they come."""
    seen: list[tuple[set[str], set[str]]] = []
    real = out_of_fold.logits_of_fold

    def noted(options, corpus, tracks, *rest):  # type: ignore[no-untyped-def]
        learnt, unseen = (tracks[name].manifest for name in (BOTH, "unseen"))
        seen.append(({*learnt["group"]}, {*unseen["track_id"]}))
        assert not {*learnt["group"]} & {*unseen["group"]}
        return real(options, corpus, tracks, *rest)

    monkeypatch.setattr(out_of_fold, "logits_of_fold", noted)
    return seen


@pytest.mark.slow
def test_folds_answer_for_train_and_validation_and_a_kill_repeats_none_that_is_done(
    store: MlflowClient, options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = options.changed(refit=True, refit_folds=3, split_seed=2)
    seen = tracks_seen(monkeypatch)
    unbroken = train(options, experiment=EXPERIMENT)
    table = pd.read_csv(
        store.download_artifacts(unbroken.run_id, "tables/out_of_fold_predictions.csv")
    )
    learnt_from = table_of(store, unbroken.run_id)
    both = {*learnt_from["track_id"][learnt_from["split"] != "test"]}
    assert {*table["track_id"]} == both == set().union(*(unseen for _, unseen in seen))
    assert sorted(table["fold"].unique()) == [1, 2, 3]
    assert "out_of_fold_accuracy_low" in unbroken.metrics

    stop = Interrupt(7)  # in the second fold: three epochs again, three of the first, one
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fitting, "Quarters", lambda epochs: stop)
        train(options, experiment=EXPERIMENT)
    *_, begun = runs_in(store)
    assert begun.info.status == "KILLED"
    seen.clear()
    resumed = train(options, experiment=EXPERIMENT, resume=begun.info.run_id)
    assert len(seen) == 2
    assert resumed.metrics == unbroken.metrics
    assert not list(checkpoint_folder(resumed.run_id).glob("refit-folds/*/training"))
    # What is asked of the model's own figures is not what its recipe has reached.
    names = {m.key for m in store.get_logged_model(resumed.model_id).metrics}
    assert "test_accuracy" in names
    assert not any(name.startswith("out_of_fold") for name in names)


class Interrupt(Observer):
    """Interrupts as the user would, after so many epochs of whatever is trained."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("tracks", "refit_folds", "message"),
    [
        (12, 20, r"^refit_folds is 20: 20 folds need as many groups of each genre, .*'blues'"),
        (8, 2, r"^refit_folds is 2: a temperature needs 30 tracks, train and val have 2\d$"),
    ],
)
def test_folds_that_cannot_be_are_told_before_a_run_is_opened(
    store: MlflowClient,
    tmp_path: Path,
    make_corpus: Callable[..., Path],
    tracks: int,
    refit_folds: int,
    message: str,
) -> None:
    data = make_corpus(tmp_path / "few", tracks=tracks)
    options = small_options(data, refit=True, refit_folds=refit_folds)
    with pytest.raises(DataError, match=message):
        train(options, experiment=EXPERIMENT)
    assert store.get_experiment_by_name(EXPERIMENT) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({"refit": True}, 0),
        ({"refit": True, "refit_folds": 1}, 0),
        ({"refit": True, "refit_folds": 4}, 4),
        ({"refit": True, "network": "statistics"}, 5),
        ({"refit": True, "network": "statistics", "refit_folds": 1}, 0),
        ({"network": "statistics"}, 0),
    ],
)
def test_folds_are_taken_where_they_are_cheap_or_asked_for(
    changes: dict[str, object], expected: int
) -> None:
    assert out_of_fold.n_folds(TrainOptions.from_flat(changes)) == expected


def test_folds_without_a_refit_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"^refit_folds is 5, but nothing is trained again"):
        TrainOptions.from_flat({"refit_folds": 5})


@pytest.mark.slow
def test_what_is_fitted_at_once_is_fitted_again(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = str(make_corpus(tmp_path / "music", tracks=12))
    options = TrainOptions.from_flat(
        {"data": data, "network": "statistics", "image_size": 32, "image_width": 32, "refit": True}
    )
    outcome = train(options, experiment=EXPERIMENT)
    assert outcome.version == "1"
    assert (home() / "checkpoints" / outcome.run_id / AGAIN / "epoch-0001.safetensors").exists()
    card = Path(store.download_artifacts(outcome.run_id, "model_card.md")).read_text("utf-8")
    assert "train and validation, each answered for by one of 5 trainings of the same" in card


@pytest.mark.slow
def test_what_it_begins_with_is_looked_for_before_a_resumed_run_goes_on(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_file(mobilenet_v3_small().state_dict(), weights)
    options = TrainOptions.from_flat(
        {
            "data": str(make_corpus(tmp_path / "music")), "network": "mobilenet_v3_small",
            "weights": str(weights), "image_size": 64, "image_width": 64, "epochs": 2,
            "refit": True,
        }
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        train(options, experiment=EXPERIMENT, observer=InterruptAfter(1))
    (begun,) = runs_in(store)
    weights.unlink()
    with pytest.raises(GenreError, match=r"weights\.safetensors"):
        train(options, experiment=EXPERIMENT, resume=begun.info.run_id)
