"""The model that a cross-validation registers: what it has learnt, says, and is let do."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from safetensors.torch import load_file
from support import EXPERIMENT, runs_in, small_options, store_in

import genre_mlflow
from genre_mlflow.errors import ModelError, SettingsError
from genre_mlflow.evaluation.doubt import fit_doubt
from genre_mlflow.evaluation.held_out import HeldOut
from genre_mlflow.evaluation.predictions import read_predictions, read_segments
from genre_mlflow.jobs import final_model, fitting
from genre_mlflow.jobs.compare import compare
from genre_mlflow.jobs.crossval import Crossval, crossval
from genre_mlflow.jobs.crossval_settings import CrossvalSettings
from genre_mlflow.jobs.evaluate import evaluate
from genre_mlflow.jobs.promote import promote
from genre_mlflow.jobs.train import train
from genre_mlflow.model.doubt import UNKNOWN
from genre_mlflow.options import TrainOptions
from genre_mlflow.tracking.versions import list_versions
from genre_mlflow.training.history import EpochResult
from genre_mlflow.training.observer import Observer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
N = 36  # tracks


def validated(options: TrainOptions, final: str, repeats: int = 1, **more: object) -> Crossval:
    settings = CrossvalSettings(3, repeats, final)
    return crossval(options, settings, experiment=EXPERIMENT, **more)


@dataclass(frozen=True)
class Made:
    """A cross-validation that was never stopped, and its final model."""

    client: MlflowClient
    found: Crossval
    options: TrainOptions
    folder: Path

    @property
    def address(self) -> str:
        assert self.found.registered
        return f"models:/{self.found.registered.name}/{self.found.registered.version}"

    def artifact(self, path: str, run_id: str = "") -> Path:
        return Path(self.client.download_artifacts(run_id or self.found.run_id, path))

    @property
    def folds(self) -> list[str]:
        """Ids of the runs of the first repeat's folds, in their order."""
        runs = runs_in(self.client, words="tags.task = 'fold' AND tags.repeat = '1'")
        return [run.info.run_id for run in sorted(runs, key=lambda run: int(run.data.tags["fold"]))]


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory, make_corpus: Callable[..., Path]) -> Path:
    return make_corpus(tmp_path_factory.mktemp("final") / "music", tracks=N // 3)


@pytest.fixture(scope="module")
def options(music: Path) -> TrainOptions:
    return small_options(music, epochs=2, model_name="mine", label_smoothing=0.3)


@pytest.fixture(scope="module", params=["all", "ensemble"])
def made(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    options: TrainOptions,
) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp(request.param)
    with store_in(folder) as client:
        yield Made(client, validated(options, request.param), options, folder)


def pooled(made: Made) -> HeldOut:
    """The answers of the folds, from their runs' artifacts."""
    parts = [
        HeldOut.from_tables(
            read_predictions(made.artifact("predictions.csv", run)),
            read_segments(made.artifact("segments.csv", run)),
            "a fold",
        )
        for run in made.folds
    ]
    return HeldOut.pooled(parts, "all")


def test_its_temperature_is_fitted_to_all_answers_of_the_folds(made: Made) -> None:
    served = genre_mlflow.load(made.address)
    held_out = pooled(made)
    assert held_out.n == N
    assert served.temperature == held_out.temperature("mean") != 1.0


def test_it_answers_as_its_kind_does(made: Made) -> None:
    served = genre_mlflow.load(made.address)
    ours = served.network.state_dict()
    path = next(Path(made.options.corpus.data).rglob("*.png"))
    found = np.array(list(served.predict(path).probabilities.values()))
    if made.found.settings.final == "all":
        (file,) = made.folder.glob(f".genre/checkpoints/{made.found.run_id}/final/epoch-*")
        assert all(torch.equal(ours[name], weights) for name, weights in load_file(file).items())
        assert served.network_settings == made.options.family
        return
    folders = [made.artifact("classifier", run) for run in made.folds]
    members = [genre_mlflow.load(str(folder)) for folder in folders]
    answers = [np.log(list(one.predict(path).probabilities.values())) for one in members]
    mean = np.exp(np.mean(answers, axis=0) / served.temperature)
    np.testing.assert_allclose(found, mean / mean.sum(), rtol=1e-4)


def test_version_model_and_card_say_that_it_was_tested_on_nothing(made: Made) -> None:
    assert made.found.registered and made.found.registered.role == "champion"
    version = made.client.get_model_version("mine", made.found.registered.version)
    assert version.tags["cross_validated"] == "3 folds"
    assert "test_digest" not in version.tags
    accuracy = made.found.metrics["accuracy"]
    card = made.artifact("model_card.md").read_text("utf-8")
    for text in (version.description, card):
        assert f"Cross-validated accuracy **{accuracy:.1%}** (95 % interval" in text
        assert "No test set was held out: the model has learnt from all 36 tracks" in text
        assert "grouped by copies and segments alone" in text
        assert "is fitted to the 36 tracks of the corpus, each answered for" in text
    (facts,) = list_versions("mine")
    assert (facts.accuracy, facts.digest, facts.folds) == (accuracy, "", "3 folds")
    model = made.client.get_logged_model(version.source.rpartition("/")[2])
    names = {metric.key for metric in model.metrics}
    assert {"cross_validated_accuracy", "cross_validated_accuracy_low"} <= names
    assert not [name for name in names if name.startswith("test")]


def test_it_says_when_it_does_not_know_by_the_answers_of_the_folds(made: Made) -> None:
    served = genre_mlflow.load(made.address)
    answers = pooled(made).answers("mean", served.temperature)
    assert served.doubt == fit_doubt(answers, made.options.doubt) != UNKNOWN
    assert served.familiarity is None, "a fold of 12 tracks is too small to know"


def test_all_its_tracks_are_known_to_it(made: Made) -> None:
    known = evaluate(made.address, made.options, split="all", experiment=EXPERIMENT).known
    assert (len(known.train), known.val) == (N, [])


def test_it_is_never_compared_as_if_it_had_been_tested(made: Made) -> None:
    tested = train(made.options, experiment=EXPERIMENT)
    with pytest.raises(
        ModelError, match=r"version 1 \(3 folds\) of 'mine' was cross-validated and"
    ):
        promote("mine", version=tested.version)
    with pytest.raises(ModelError, match="mine/1 has learnt from all tracks of a cross-val"):
        compare([made.address], [f"models:/mine/{tested.version}"], experiment=EXPERIMENT)
    found = promote("mine", version=tested.version, force=True, why="tested at last")
    assert found.promoted


class InterruptFinal(Observer):
    """Interrupts as the user would, within the training on all tracks."""

    def on_epoch_end(self, result: EpochResult, weights: Path) -> None:
        raise KeyboardInterrupt


class Count(Observer):
    """Counts the folds that are trained."""

    begun = 0

    def on_train_begin(self, history: Sequence[EpochResult], epochs: int) -> None:
        self.begun += 1


@pytest.mark.parametrize("where", ["training", "logging"])
def test_one_that_was_stopped_within_it_goes_on_there(
    store: MlflowClient, options: TrainOptions, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if where == "training":
            patch.setattr(fitting, "Quarters", lambda epochs: InterruptFinal())
        else:
            patch.setattr(final_model, "log_figures", stop)
        validated(options, "all")
    parent, *_ = runs_in(store)
    assert parent.info.status == "KILLED"
    watching = Count()
    run_id = parent.info.run_id
    found = validated(TrainOptions(), "all", resume=run_id, observer=watching)
    assert watching.begun == 0
    assert found.registered and found.registered.version == "1"
    again = validated(TrainOptions(), "all", resume=run_id)
    assert again.registered == found.registered
    assert {run.info.status for run in runs_in(store)} == {"FINISHED"}
    (model,) = store.search_logged_models([parent.info.experiment_id], "name = 'classifier'")
    keys = [metric.key for metric in model.metrics]
    assert len(keys) == len(set(keys))


def test_of_several_repeats_the_first_makes_the_ensemble_and_all_the_temperature(
    store: MlflowClient, music: Path
) -> None:
    options = small_options(music, epochs=1, widths=(4,))
    found = validated(options, "ensemble", repeats=2)
    assert found.registered
    made = genre_mlflow.load(f"models:/genre-classifier/{found.registered.version}")
    assert made.network_settings.members == 3
    description = store.get_model_version("genre-classifier", "1").description
    assert "2 times 3 folds" in description
    assert "the 36 tracks of the corpus" in description


@pytest.mark.parametrize("final", ["all", "ensemble"])
def test_what_is_fitted_at_once_has_a_model_of_all_too(
    store: MlflowClient, music: Path, final: str
) -> None:
    flat = {"data": str(music), "network": "statistics", "image_size": 64, "image_width": 64}
    found = validated(TrainOptions.from_flat(flat), final)
    assert found.registered
    served = genre_mlflow.load(f"models:/genre-classifier/{found.registered.version}")
    table = pd.read_csv(store.download_artifacts(found.run_id, "data/manifest.csv"))
    right = [
        served.predict(path).genre == genre
        for path, genre in zip(table["path"], table["genre"], strict=True)
    ]
    assert np.mean(right) > 0.9


def test_a_table_of_features_makes_no_model() -> None:
    options = TrainOptions.from_flat({"network": "csv", "table": "features.csv"})
    with pytest.raises(SettingsError, match=r"^final is all, but network csv reads a table"):
        CrossvalSettings(final="all").options_of(options)


def test_a_name_is_for_what_is_registered() -> None:
    options = TrainOptions.from_flat({"model_name": "mine"})
    with pytest.raises(SettingsError, match=r"model_name has no meaning .*without --final"):
        CrossvalSettings().options_of(options)
    assert len(CrossvalSettings(final="all").options_of(options)) == 1
