import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from greed import ASKED, Greedy
from matplotlib import colormaps
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image
from support import (
    EXPERIMENT,
    InterruptAfter,
    Trained,
    models_in,
    runs_in,
    small_options,
    store_in,
    train_small,
)

import genre_mlflow
from genre_mlflow.cli.base import speaking
from genre_mlflow.corpus.manifest import digest
from genre_mlflow.data.dataset import TrackDataset
from genre_mlflow.errors import DataError, ModelError, SettingsError
from genre_mlflow.evaluation.metrics import accuracy
from genre_mlflow.jobs.train import train
from genre_mlflow.memory import MemoryShortage
from genre_mlflow.model.classifier import WEIGHTS_FILE
from genre_mlflow.model.networks.vgg import VGG
from genre_mlflow.settings import options_of

PER_EPOCH = [
    "train_loss", "train_accuracy", "val_loss", "val_accuracy",
    "lr", "epoch_seconds", "images_per_s", "val_recall/blues",
]  # fmt: skip
ARTIFACTS = [
    "config.json", "model_card.md", "data/manifest.csv", "data/faults.json",
    "figures/learning_curves.png", "figures/mistakes.png",
    "figures/test_confusion_counts.png", "figures/test_confusion_rates.png",
    "tables/history.csv", "tables/predictions.csv", "tables/test_report.csv",
    "confusion/val-epoch-0001.json", "confusion/val-epoch-0003.json",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(trained: Trained) -> Run:
    return trained.client.get_run(trained.outcome.run_id)


def artifact(trained: Trained, path: str) -> Path:
    return Path(trained.client.download_artifacts(trained.outcome.run_id, path))


def files_of(client: MlflowClient, model_id: str) -> list[str]:
    return [entry.path for entry in client.list_logged_model_artifacts(model_id)]


def test_run_is_finished_and_described(run: Run) -> None:
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "vgg 4-8, music, seed 0"
    assert "3 genres" in run.data.tags["mlflow.note.content"]
    assert run.data.tags["corpus"] == "music"
    assert run.data.tags["device"].startswith("cpu")
    assert "mlflow 3.17.2, " in run.data.tags["versions"]
    assert run.data.tags["formats"] == "60 PNG"
    assert run.data.tags["mlflow.user"]


@pytest.mark.parametrize("name", PER_EPOCH)
def test_every_epoch_logs_each_metric_once(trained: Trained, name: str) -> None:
    history = trained.client.get_metric_history(trained.outcome.run_id, name)
    assert [metric.step for metric in history] == [1, 2, 3]


def test_epoch_metrics_are_linked_to_dataset_and_checkpoint(trained: Trained, run: Run) -> None:
    models = models_in(trained.client)
    checkpoints = {m.name: m for m in models if m.model_type == "checkpoint"}
    kept = {f"epoch-{epoch:04.0f}" for epoch in (trained.outcome.metrics["best_epoch"], 3)}
    assert checkpoints.keys() == kept  # more would bury the model that counts
    dataset = run.inputs.dataset_inputs[0].dataset
    for model in checkpoints.values():
        assert model.status == "READY"
        assert {m.dataset_digest for m in model.metrics} == {dataset.digest}
        assert {m.key for m in model.metrics} >= set(PER_EPOCH)


def test_search_finds_the_best_epoch(trained: Trained) -> None:
    order = [
        {"field_name": "metrics.val_accuracy", "ascending": False},
        {"field_name": "metrics.val_loss"},
    ]
    best = models_in(trained.client, order_by=order)[0]
    assert int(best.params["epoch"]) == trained.outcome.metrics["best_epoch"]


def test_weights_are_kept_for_the_best_and_the_last_epoch_only(trained: Trained) -> None:
    with_weights = {
        int(model.params["epoch"])
        for model in models_in(trained.client)
        if model.model_type == "checkpoint"
        and WEIGHTS_FILE in files_of(trained.client, model.model_id)
    }
    assert with_weights == {int(trained.outcome.metrics["best_epoch"]), 3}


def test_a_checkpoint_is_a_classifier(trained: Trained) -> None:
    last = next(model for model in models_in(trained.client) if model.name == "epoch-0003")
    assert genre_mlflow.load(f"models:/{last.model_id}").genres == ("blues", "jazz", "rock")


@pytest.mark.parametrize("path", ARTIFACTS)
def test_run_has_artifact(trained: Trained, path: str) -> None:
    assert artifact(trained, path).stat().st_size > 0


def test_validation_confusion_is_an_image_by_step(trained: Trained) -> None:
    entries = trained.client.list_artifacts(trained.outcome.run_id, "images")
    images = [entry.path for entry in entries if entry.path.endswith(".png")]
    assert len(images) == 3
    for path in images:
        with Image.open(artifact(trained, path)) as image:
            assert image.size[0] > 200


def test_configuration_is_logged_as_json_and_as_parameters(trained: Trained, run: Run) -> None:
    config = json.loads(artifact(trained, "config.json").read_text())
    assert config["options"]["lr"] == 0.01
    assert run.data.params["lr"] == "0.01"
    assert run.data.params["widths"] == "4,8"
    assert set(run.data.params) == set(config["options"])


def test_manifest_is_the_dataset_of_the_run(trained: Trained, run: Run) -> None:
    manifest = pd.read_csv(artifact(trained, "data/manifest.csv"))
    dataset = run.inputs.dataset_inputs[0].dataset
    assert list(manifest) == ["track_id", "path", "genre", "group", "sha256", "split", "format"]
    assert json.loads(dataset.profile)["num_rows"] == len(manifest)
    assert dataset.digest == digest(manifest)
    assert len(dataset.digest) <= 36


def test_final_metrics_follow_from_the_predictions_table(trained: Trained, run: Run) -> None:
    predictions = pd.read_csv(artifact(trained, "tables/predictions.csv"))
    for split, name in (("train", "best_train"), ("val", "best_val"), ("test", "test")):
        rows = predictions[predictions["split"] == split]
        assert run.data.metrics[f"{name}_accuracy"] == pytest.approx(accuracy(rows))
        assert f"{name}_macro_f1" in run.data.metrics
    best = int(run.data.metrics["best_epoch"])
    history = trained.client.get_metric_history(trained.outcome.run_id, "val_accuracy")
    assert history[best - 1].value == pytest.approx(run.data.metrics["best_val_accuracy"])


def test_system_metrics_are_logged(run: Run) -> None:
    assert any(name.startswith("system/cpu") for name in run.data.metrics)


def test_model_card_states_split_and_interval(trained: Trained) -> None:
    card = artifact(trained, "model_card.md").read_text()
    assert "95 % interval" in card
    assert "6 to test;\n60 PNG.\n" in card
    assert "| test | 6 |" in card


def test_model_holds_no_pickle_and_pins_its_requirements(trained: Trained) -> None:
    version = trained.client.get_model_version("genre-classifier", trained.outcome.version)
    folder = Path(trained.client.download_artifacts(trained.outcome.run_id, "config.json")).parent
    from mlflow.artifacts import download_artifacts

    folder = Path(download_artifacts(f"models:/genre-classifier/{version.version}"))
    names = [path.name for path in folder.rglob("*") if path.is_file()]
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".pth"))]
    assert {"weights.safetensors", "classifier.json", "served_model.py", "MLmodel"} <= set(names)
    requirements = (folder / "requirements.txt").read_text()
    assert "torch==2.13.0\n" in requirements


def test_first_version_is_challenger_and_champion(trained: Trained) -> None:
    for alias in ("challenger", "champion"):
        version = trained.client.get_model_version_by_alias("genre-classifier", alias)
        assert str(version.version) == "1"
    assert version.tags["test_digest"]


@pytest.mark.slow
def test_test_set_is_read_once_after_training(
    store: MlflowClient, tmp_path: Path, make_corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    batches = TrackDataset.batches

    def watched(self, *args):
        reads.append(len(self))
        return batches(self, *args)

    monkeypatch.setattr(TrackDataset, "batches", watched)
    train_small(make_corpus(tmp_path / "m"), val_fraction=0.2, test_fraction=0.3)
    n_train, n_val, n_test = 30, 12, 18
    at_the_end, baseline = [n_train, n_val, n_test], [n_train, n_test]
    foreign = [n_val]  # too few to know, so the test set is not looked at
    assert reads == [n_train, n_val] * 3 + at_the_end + foreign + baseline


@pytest.mark.slow
def test_keep_all_keeps_the_weights_of_every_epoch(
    store: MlflowClient, tmp_path: Path, make_corpus
) -> None:
    train_small(make_corpus(tmp_path / "m"), keep="all")
    models = [model for model in models_in(store) if model.name != "classifier"]
    assert len(models) == 3
    for model in models:
        assert WEIGHTS_FILE in files_of(store, model.model_id)


@pytest.mark.slow
def test_whole_way_works_over_http(
    mlflow_server: str, tmp_path: Path, make_corpus, trained: Trained
) -> None:
    options = small_options(make_corpus(tmp_path / "music"), epochs=5)
    with store_in(tmp_path / "work", mlflow_server) as client:
        with pytest.raises(KeyboardInterrupt):
            train(options, experiment=EXPERIMENT, observer=InterruptAfter(3))
        (begun,) = runs_in(client)
        outcome = train(options, experiment=EXPERIMENT, resume=begun.info.run_id)
        run = client.get_run(outcome.run_id)
        assert run.info.status == "FINISHED"
        assert {"val_accuracy", "test_accuracy"} <= set(run.data.metrics)
        assert {f.path for f in client.list_artifacts(outcome.run_id)} >= {
            "model_card.md",
            "images",
        }
        history = client.get_metric_history(outcome.run_id, "val_loss")
        assert [metric.step for metric in history] == [1, 2, 3, 4, 5]
        images = client.list_artifacts(outcome.run_id, "images")
        assert len([entry for entry in images if entry.path.endswith(".png")]) == 5
        stored = [
            model.name
            for model in models_in(client)
            if model.model_type == "checkpoint" and WEIGHTS_FILE in files_of(client, model.model_id)
        ]
        best = f"epoch-{outcome.metrics['best_epoch']:04.0f}"
        assert set(stored) == {best, "epoch-0005"}
        image = next((tmp_path / "music").rglob("*.png"))
        assert genre_mlflow.load().predict(image).genre in ("blues", "jazz", "rock")
    assert not (tmp_path / "work" / "mlruns").exists()


@pytest.mark.slow
def test_augmentation_reaches_what_is_learnt_and_nothing_else(
    store: MlflowClient, tmp_path: Path, make_corpus
) -> None:
    folder = make_corpus(tmp_path / "m")
    runs = [train_small(folder, epochs=1, **more) for more in ({}, {"noise_db": 20.0})]
    plain, noisy = (store.get_run(outcome.run_id).data.metrics for outcome in runs)
    assert plain["train_loss"] != noisy["train_loss"]
    assert plain["baseline_test_accuracy"] == noisy["baseline_test_accuracy"]


def test_a_faulty_corpus_opens_no_run(store: MlflowClient, tmp_path: Path, make_corpus) -> None:
    folder = make_corpus(tmp_path / "m")
    (folder / "jazz" / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.png: is neither a PNG or JPEG image"):
        train_small(folder)
    assert store.get_experiment_by_name(EXPERIMENT) is None


@pytest.mark.slow
def test_colours_that_cannot_be_undone_open_no_run(
    store: MlflowClient, tmp_path: Path, make_corpus
) -> None:
    folder = make_corpus(tmp_path / "m")
    for path in folder.glob("*/*.png"):
        levels = np.asarray(Image.open(path)) / 255
        Image.fromarray((255 * colormaps["tab20"](levels)[..., :3]).astype(np.uint8)).save(path)
    with pytest.raises(DataError, match=r"00000\.png has the colours of no known colour map"):
        train_small(folder)
    assert store.get_experiment_by_name(EXPERIMENT) is None
    assert train_small(folder, colours="kept", stem="pixels", epochs=1).n_genres == 3


@pytest.mark.slow
def test_the_colour_map_that_is_undone_is_told(
    store: MlflowClient, tmp_path: Path, make_corpus
) -> None:
    said: list[str] = []
    with speaking(said.append):
        train_small(make_corpus(tmp_path / "m"), epochs=1)
    assert "Colours of the images undone: grey" in said


@pytest.mark.slow
def test_skipped_files_are_recorded_in_the_run(
    store: MlflowClient, tmp_path: Path, make_corpus
) -> None:
    folder = make_corpus(tmp_path / "m")
    (folder / "jazz" / "broken.png").write_bytes(b"no image")
    outcome = train_small(folder, on_bad_file="skip", epochs=1)
    path = store.download_artifacts(outcome.run_id, "data/faults.json")
    bad = json.loads(Path(path).read_text())["bad_files"]
    assert [Path(entry["path"]).name for entry in bad] == ["broken.png"]
    assert store.get_run(outcome.run_id).data.tags["bad_files"] == "1"


def test_an_absent_device_is_refused_before_a_run_is_opened(
    store: MlflowClient, tmp_path: Path, make_corpus
) -> None:
    with pytest.raises(SettingsError, match="device 'mps' is absent; available here: cpu"):
        train_small(make_corpus(tmp_path / "m"), device="mps")
    assert store.get_experiment_by_name(EXPERIMENT) is None


def test_an_unreachable_server_is_one_line(tmp_path: Path, make_corpus) -> None:
    with (
        store_in(tmp_path / "w", "http://127.0.0.1:9"),
        pytest.raises(ModelError, match=r"server http://127\.0\.0\.1:9 cannot be reached"),
    ):
        train_small(make_corpus(tmp_path / "m"))


@pytest.mark.slow
def test_genre_names_of_any_script_are_tracked(
    store: MlflowClient, tmp_path: Path, make_corpus
) -> None:
    folder = make_corpus(tmp_path / "m", genres=("R&B / 'soul'".replace("/", "-"), "música ñ"))
    outcome = train_small(folder, epochs=1)
    recalls = [n for n in store.get_run(outcome.run_id).data.metrics if n.startswith("val_recall")]
    assert len(recalls) == 2


def test_a_lack_of_memory_is_one_line_and_the_run_failed(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VGG, "build", lambda *_: Greedy())
    message = rf"^out of memory on cpu {ASKED}; lower batch_size, image_size or widths"
    with pytest.raises(MemoryShortage, match=message):
        train(trained.options, experiment="too large")
    (failed,) = runs_in(trained.client, "too large")
    assert failed.info.status == "FAILED"


@pytest.mark.slow
@pytest.mark.parametrize("network", ["statistics", "majority"])
def test_a_baseline_goes_the_way_of_a_network_in_one_epoch(
    store: MlflowClient, tmp_path: Path, make_corpus, network: str
) -> None:
    folder = make_corpus(tmp_path / "m")
    own = {name: getattr(VGG(), name) for name in options_of(VGG)}
    with pytest.raises(KeyboardInterrupt):
        options = small_options(folder, network=network, **own)
        train(options, experiment=EXPERIMENT, observer=InterruptAfter(1))
    (cut_off,) = runs_in(store)
    outcome = train(options, experiment=EXPERIMENT, resume=cut_off.info.run_id)
    run = store.get_run(outcome.run_id)
    assert run.info.run_id == cut_off.info.run_id
    assert run.info.status == "FINISHED"
    assert (outcome.version, outcome.role) == ("1", "champion")
    assert len(store.get_metric_history(outcome.run_id, "val_loss")) == 1
    tables = {file.path for file in store.list_artifacts(outcome.run_id, "tables")}
    assert ("tables/importance.csv" in tables) == (network == "statistics")
    right = outcome.metrics["test_accuracy"]
    assert right > 0.6 if network == "statistics" else right < 0.5
    path = sorted(folder.rglob("*.png"))[0]
    loaded = genre_mlflow.load("models:/genre-classifier@champion")
    rows = pd.read_csv(store.download_artifacts(outcome.run_id, "tables/predictions.csv"))
    logged = rows.set_index("track_id").loc[
        path.relative_to(folder).with_suffix("").as_posix(), "predicted"
    ]
    assert loaded.predict(path).genre == logged


def test_a_network_is_compared_with_the_statistics_baseline(trained: Trained, run: Run) -> None:
    table = pd.read_csv(artifact(trained, "tables/baseline_predictions.csv"))
    ours = pd.read_csv(artifact(trained, "tables/predictions.csv"))
    ours = ours[ours["split"] == "test"]
    assert table["track_id"].tolist() == ours["track_id"].tolist()
    m = run.data.metrics
    assert m["baseline_test_accuracy"] == pytest.approx(accuracy(table))
    assert m["gain_over_baseline"] == pytest.approx(accuracy(ours) - accuracy(table))
    assert m["gain_over_baseline_low"] <= m["gain_over_baseline"] <= m["gain_over_baseline_high"]
