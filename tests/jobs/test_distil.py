"""What an ensemble answers is learnt by one network, which is the model."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from safetensors.torch import load_file
from support import EXPERIMENT, InterruptAfter, runs_in, small_options

import genre_mlflow
from genre_mlflow.errors import SettingsError
from genre_mlflow.evaluation.predictions import part, read_predictions
from genre_mlflow.jobs import fitting
from genre_mlflow.jobs.train import train
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.sessions import checkpoint_folder


@pytest.fixture
def options(tmp_path: Path, make_corpus: Callable[..., Path]) -> TrainOptions:
    data = make_corpus(tmp_path / "music", tracks=12)
    return small_options(data, ensemble=2, distil=True, keep="all")


def last_weights(run_id: str) -> dict[str, torch.Tensor]:
    (folder,) = checkpoint_folder(run_id).glob("distilled-*")
    return load_file(max(folder.glob("epoch-*.safetensors")))


@pytest.mark.slow
def test_one_network_is_registered_tested_and_told_of(
    store: MlflowClient, options: TrainOptions
) -> None:
    outcome = train(options, experiment=EXPERIMENT)
    served = genre_mlflow.load(f"models:/genre-classifier/{outcome.version}")
    assert served.network_settings.ensemble == 1
    ours = served.network.state_dict()
    assert all(torch.equal(ours[n], w) for n, w in last_weights(outcome.run_id).items())
    run = store.get_run(outcome.run_id)
    assert run.data.params["ensemble"] == "2"
    table = store.download_artifacts(outcome.run_id, "tables/predictions.csv")
    row = part(read_predictions(Path(table)), "test").iloc[0]
    assert served.predict(row["path"]).confidence == pytest.approx(row["confidence"], abs=1e-5)
    card = Path(store.download_artifacts(outcome.run_id, "model_card.md")).read_text("utf-8")
    assert "Then one network learnt what the 2 x vgg 4-8 answer (distillation); its last" in card
    version = store.get_model_version("genre-classifier", outcome.version)
    assert "then distilled into one network" in version.description


@pytest.mark.slow
@pytest.mark.parametrize("refit", [False, True])
def test_it_learns_from_the_best_epoch_on_the_tracks_of_its_teachers(
    store: MlflowClient, options: TrainOptions, monkeypatch: pytest.MonkeyPatch, refit: bool
) -> None:
    calls = []
    fit = fitting.fit

    def noted(classifier, tracks, *args, **named):  # type: ignore[no-untyped-def]
        teacher = named["teacher"]
        known = {n: w.clone() for n, w in teacher.state_dict().items()} if teacher else {}
        calls.append((len(tracks["train"]), known))
        return fit(classifier, tracks, *args, **named)

    monkeypatch.setattr(fitting, "fit", noted)
    outcome = train(options.changed(refit=refit), experiment=EXPERIMENT)
    (*_, (n_taught_by, nothing)), (n_taught, teacher) = calls[:-1], calls[-1]
    assert (n_taught_by, nothing) == (n_taught, {})
    folder = checkpoint_folder(outcome.run_id) / ("refit" if refit else "")
    epoch = 3 if refit else int(outcome.metrics["best_epoch"])
    kept = load_file(folder / f"epoch-{epoch:04}.safetensors")
    assert all(torch.equal(teacher[name], weights) for name, weights in kept.items())


@pytest.mark.slow
def test_more_epochs_that_change_the_pupil_alone_are_a_model_of_its_own(
    store: MlflowClient, options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if no later epoch of the teachers were better.
    for job in ("train", "outcome"):
        monkeypatch.setattr(f"genre_mlflow.jobs.{job}.best_epoch", lambda history: history[1])
    short = options.changed(schedule="none", model_name="two")
    one = train(short, experiment="two")
    more = train(short.changed(epochs=5), experiment="two", resume=one.run_id, given={"epochs"})
    assert one.model_id != more.model_id
    weights = genre_mlflow.load("models:/two/2").network.state_dict()
    kept = last_weights(one.run_id)
    assert all(torch.equal(weights[name], found) for name, found in kept.items())


@pytest.mark.slow
def test_stopped_within_it_a_run_ends_as_if_it_had_never_stopped(
    store: MlflowClient, options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = train(options, experiment=EXPERIMENT)
    stop = InterruptAfter(2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fitting, "Quarters", lambda epochs: stop)
        train(options, experiment=EXPERIMENT)
    *_, begun = runs_in(store)
    assert begun.info.status == "KILLED"
    resumed = train(options, experiment=EXPERIMENT, resume=begun.info.run_id)
    theirs, ours = last_weights(unbroken.run_id), last_weights(resumed.run_id)
    assert all(torch.equal(ours[name], weights) for name, weights in theirs.items())
    assert resumed.metrics == unbroken.metrics


@pytest.mark.parametrize("changes", [{"ensemble": 1}, {"network": "resnet18"}])
def test_one_network_has_nothing_to_distil(
    make_corpus: Callable[..., Path], tmp_path: Path, changes: dict[str, object]
) -> None:
    flat = {"data": str(tmp_path), "distil": True, **changes}
    with pytest.raises(SettingsError, match=r"several networks to learn from, .* --ensemble 2"):
        TrainOptions.from_flat(flat)
