"""A run explains its answers: pictures and tables are added to it, and nothing else changes."""

import io
from collections.abc import Iterator
from pathlib import Path

import gated
import pandas as pd
import pytest
from mlflow import MlflowClient
from support import EXPERIMENT, Trained, runs_in, small_options, store_in

from genre_mlflow.errors import DataError, ModelError, SettingsError
from genre_mlflow.evaluation.explain_settings import ExplainSettings
from genre_mlflow.evaluation.predictions import write_predictions
from genre_mlflow.jobs.explain_run import Explained, explain_run, important, summary, with_groups
from genre_mlflow.jobs.train import train
from genre_mlflow.tracking.run import TrackedRun

ALL = ExplainSettings(robustness=True)


def nothing(what: str, done: int, total: int) -> None:
    """Shows no bar."""


def artifacts(client: MlflowClient, run_id: str, path: str | None = None) -> list[str]:
    found = []
    for entry in client.list_artifacts(run_id, path):
        found += artifacts(client, run_id, entry.path) if entry.is_dir else [entry.path]
    return found


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, make_corpus) -> Iterator[Trained]:
    """A run that these tests add to."""
    folder = tmp_path_factory.mktemp("own")
    options = small_options(make_corpus(folder / "music", tracks=20))
    with store_in(folder) as client:
        yield Trained(train(options, experiment=EXPERIMENT), client, options, folder)


@pytest.fixture(scope="module")
def explained(own: Trained) -> tuple[Explained, object, object]:
    """What is found, and the run before and after."""
    run_id = own.outcome.run_id
    before = own.client.get_run(run_id).info
    found = explain_run(run_id, ALL, "cpu", nothing)
    return found, before, own.client.get_run(run_id).info


@pytest.mark.slow
def test_the_run_gets_its_pictures_and_tables(own: Trained, explained) -> None:
    found, _, _ = explained
    there = artifacts(own.client, own.outcome.run_id)
    pictures = [path for path in there if path.startswith("explanations/mistake ")]
    assert len(pictures) == found.n_mistakes
    assert {"explanations/mean_maps.png", "tables/bands.csv", "tables/robustness.csv",
            "explanations/bands.png", "explanations/robustness.png"} <= {*there}  # fmt: skip
    assert {"tables/predictions.csv", "figures/mistakes.png"} <= {*there}  # of the training


@pytest.mark.slow
def test_the_run_is_not_opened_again(explained) -> None:
    _, before, after = explained
    assert (after.status, after.end_time) == ("FINISHED", before.end_time)


@pytest.mark.slow
def test_the_tables_are_of_the_test_set(own: Trained, explained) -> None:
    found, _, _ = explained
    assert found.n_tracks == 6
    bands = pd.read_csv(io.StringIO(text_of(own, "bands")))
    assert bands["tracks"].max() == 6
    assert set(bands["genre"].dropna()) == {"blues", "jazz", "rock"}
    assert found.robustness["tracks"].max() == 6
    assert found.robustness.set_index("change").loc["mp3", "tracks"] == 0


def text_of(own: Trained, table: str) -> str:
    run = TrackedRun.find(own.outcome.run_id)
    path = run.read_artifact(f"tables/{table}.csv", own.folder)
    assert path is not None
    return path.read_text()


@pytest.mark.slow
def test_the_summary_names_bands_disturbances_and_the_run(own: Trained, explained) -> None:
    found, _, _ = explained
    lines = summary(found).splitlines()
    assert lines[0].startswith("6 tracks explained, ")
    assert sum(line.startswith("  With ") for line in lines) == 3
    assert sum(line.startswith("  Without ") for line in lines) == min(
        3, len(important(found.bands))
    )
    assert lines[-1].endswith(f"run {own.outcome.run_id}")


@pytest.mark.slow
def test_validation_tracks_may_be_explained_instead(own: Trained, explained) -> None:
    found = explain_run(own.outcome.run_id, ExplainSettings(split="val"), "cpu", nothing)
    assert found.n_tracks == 6
    assert found.robustness.empty


@pytest.mark.slow
@pytest.mark.parametrize("part", ["explaining mistakes", "mean maps", "hiding bands"])
def test_who_stops_it_finds_the_run_as_it_was(own: Trained, explained, part: str) -> None:
    run_id = own.outcome.run_id
    before = {path: own.client.list_artifacts(run_id, path) for path in (None, "explanations")}

    def stop(what: str, done: int, total: int) -> None:
        if what == part:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explain_run(run_id, ExplainSettings(), "cpu", stop)
    assert own.client.get_run(run_id).info.status == "FINISHED"
    after = {path: own.client.list_artifacts(run_id, path) for path in before}
    assert [[e.path for e in after[p]] for p in before] == [
        [e.path for e in before[p]] for p in before
    ]


def test_a_run_that_is_not_there_is_told(trained: Trained) -> None:
    with pytest.raises(ModelError, match=r"^there is no run 'abc' in this store"):
        explain_run("abc", ExplainSettings(), "cpu", nothing)


def test_a_run_without_a_model_is_told(store: MlflowClient) -> None:
    place = store.create_experiment("bare")
    run = store.create_run(place, run_name="bare one")
    store.log_text(run.info.run_id, "something", "notes.txt")
    with pytest.raises(ModelError, match=r"^run \w+ \(bare one\) has no model: it is no finished"):
        explain_run(run.info.run_id, ExplainSettings(), "cpu", nothing)


def test_a_deleted_run_is_told_with_what_restores_it(store: MlflowClient) -> None:
    run = store.create_run(store.create_experiment("gone"))
    store.delete_run(run.info.run_id)
    with pytest.raises(ModelError, match=r"was deleted; restore it with: .*runs restore"):
        explain_run(run.info.run_id, ExplainSettings(), "cpu", nothing)


def test_a_cross_validation_is_refused_whose_model_has_learnt_from_all(store: MlflowClient) -> None:
    run = store.create_run(store.create_experiment("folds"), tags={"task": "crossval"})
    store.log_text(run.info.run_id, "something", "notes.txt")
    with pytest.raises(ModelError, match=r"is a cross-validation, whose model has learnt from all"):
        explain_run(run.info.run_id, ExplainSettings(), "cpu", nothing)


def test_tracks_are_grouped_as_the_run_was_tested(store: MlflowClient, tmp_path: Path) -> None:
    run = TrackedRun.create(store.create_experiment("groups"), "groups", {})
    manifest = gated.answers(20, 20).drop(index=0)
    assert with_groups(run, manifest) is manifest
    with run.folder("tables") as folder:
        tested = gated.answers(20, 20).assign(group=lambda table: "of " + table["genre"])
        write_predictions(tested[tested["genre"] == "jazz"], folder / "predictions.csv")
    found = with_groups(run, manifest)
    assert found["group"].value_counts()["of jazz"] == 39
    assert found["group"].nunique() == 41  # those of rock, which the table does not name, each


def test_an_unknown_device_is_told_first(store: MlflowClient) -> None:
    with pytest.raises(SettingsError, match=r"^device 'abacus' is unknown"):
        explain_run("abc", ExplainSettings(), "abacus", nothing)


@pytest.mark.slow
def test_a_track_that_is_gone_is_named(own: Trained, explained, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("GENRE_HOME", str(tmp_path / "elsewhere"))  # nothing is decoded yet
    rows = pd.read_csv(
        TrackedRun.find(own.outcome.run_id).read_artifact("data/manifest.csv", tmp_path)
    )
    path = Path(rows["path"][rows["split"] == "test"].iloc[0])
    kept = path.read_bytes()
    path.unlink()
    try:
        with pytest.raises(DataError, match=rf"{path.name} cannot be read"):
            explain_run(own.outcome.run_id, ExplainSettings(), "cpu", nothing)
    finally:
        path.write_bytes(kept)


@pytest.mark.slow
def test_a_network_without_convolutions_is_explained_by_hiding(
    store, make_corpus, tmp_path
) -> None:
    options = small_options(make_corpus(tmp_path / "music", tracks=10))
    kept = {name: options.flat()[name] for name in ("data", "image_size", "image_width")}
    fitted = options.from_flat({**kept, "network": "statistics"})
    outcome = train(fitted, experiment=EXPERIMENT)
    found = explain_run(outcome.run_id, ExplainSettings(), "cpu", nothing)
    there = artifacts(store, outcome.run_id)
    assert "explanations/mean_maps.png" not in there
    assert "tables/bands.csv" in there
    assert len([p for p in there if p.startswith("explanations/mistake")]) == found.n_mistakes
    with pytest.raises(ModelError, match="no layer of convolutions"):
        explain_run(outcome.run_id, ExplainSettings(method="grad-cam"), "cpu", nothing)
    assert len(runs_in(store)) == 1
