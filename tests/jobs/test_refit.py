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
from genre_mlflow.errors import GenreError
from genre_mlflow.evaluation.predictions import part, read_predictions
from genre_mlflow.files.home import home
from genre_mlflow.jobs import fitting
from genre_mlflow.jobs.evaluate import evaluate
from genre_mlflow.jobs.fitting import AGAIN
from genre_mlflow.jobs.train import train
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.sessions import checkpoint_folder
from genre_mlflow.training.history import EpochResult


@pytest.fixture
def options(tmp_path: Path, make_corpus: Callable[..., Path]) -> TrainOptions:
    return small_options(make_corpus(tmp_path / "music", tracks=12), ensemble=2, ema_decay=0.5)


def final_weights(run_id: str) -> dict[str, torch.Tensor]:
    file = max((checkpoint_folder(run_id) / AGAIN).glob("epoch-*.safetensors"))
    return load_file(file)


def table_of(client: MlflowClient, run_id: str) -> pd.DataFrame:
    return read_predictions(Path(client.download_artifacts(run_id, "tables/predictions.csv")))


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
