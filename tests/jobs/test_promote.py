import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from support import EXPERIMENT, Trained, models_in, small_options, store_in, train_small

import genre_mlflow
from genre_mlflow.errors import ModelError
from genre_mlflow.jobs import gate
from genre_mlflow.jobs.promote import promote
from genre_mlflow.jobs.train import train
from genre_mlflow.tracking.registry import RegisteredModel
from genre_mlflow.tracking.servable import servable_folder

pytestmark = pytest.mark.slow

NAME = "genre-classifier"


def champion(client: MlflowClient) -> str:
    return str(client.get_model_version_by_alias(NAME, "champion").version)


@pytest.fixture(scope="module")
def trained_twice(
    tmp_path_factory: pytest.TempPathFactory, make_corpus: Callable[..., Path]
) -> Path:
    """A folder with a champion that could hardly learn, and a challenger that did."""
    folder = tmp_path_factory.mktemp("twice")
    data = make_corpus(folder / "music", tracks=20)
    with store_in(folder):
        train_small(data, epochs=1, lr=1e-7, test_fraction=0.2)
        train_small(data, epochs=16, test_fraction=0.2)
    return folder


@pytest.fixture(autouse=True)
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares each promotion the seconds of a process that loads the model: test_gate_shown.py."""
    monkeypatch.setattr(gate, "check_answers", lambda uri, *, fresh: None)


@pytest.fixture
def two_versions(trained_twice: Path, tmp_path: Path) -> Iterator[MlflowClient]:
    """A store of the test's own that begins with these two."""
    with store_in(tmp_path / "own", like=trained_twice) as client:
        yield client


def test_second_version_is_challenger_only(two_versions: MlflowClient) -> None:
    assert champion(two_versions) == "1"
    assert str(two_versions.get_model_version_by_alias(NAME, "challenger").version) == "2"


def test_resuming_an_older_run_leaves_the_newer_challenger(
    two_versions: MlflowClient, trained_twice: Path
) -> None:
    first = two_versions.get_model_version(NAME, "1")
    options = small_options(trained_twice / "music")
    train(options, experiment=EXPERIMENT, resume=str(first.run_id))
    assert str(two_versions.get_model_version_by_alias(NAME, "challenger").version) == "2"
    assert len(two_versions.search_model_versions(f"name = '{NAME}'")) == 2


def test_version_that_was_registered_without_its_alias_gets_it(two_versions: MlflowClient) -> None:
    two_versions.delete_registered_model_alias(NAME, "challenger")
    second = two_versions.get_model_version(NAME, "2")
    RegisteredModel(NAME).register(second.source.rpartition("/")[2], {})
    assert str(two_versions.get_model_version_by_alias(NAME, "challenger").version) == "2"


def test_better_challenger_becomes_champion_once(two_versions: MlflowClient) -> None:
    result = promote(NAME)
    assert result.promoted
    assert re.fullmatch(
        r"version 2 is better than the champion, version 1: .*% against 33\.3% of the test set, .*"
        r" points \(95 % interval \+.* to \+.*, over 12 tracks\)",
        result.reason,
    )
    assert champion(two_versions) == "2"
    again = promote(NAME)
    assert not again.promoted
    assert again.reason == "version 2 is the champion already"


def test_a_version_is_promoted_by_its_number(two_versions: MlflowClient) -> None:
    two_versions.set_registered_model_alias(NAME, "challenger", "1")
    assert promote(NAME, version="2").promoted
    assert champion(two_versions) == "2"
    with pytest.raises(ModelError, match=r"model 'genre-classifier' has no version '9'"):
        promote(NAME, version="9")


def test_equal_challenger_is_not_promoted(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music")
    for _ in range(2):
        train_small(data, epochs=2)
    assert not promote(NAME).promoted
    assert champion(store) == "1"


def test_other_test_tracks_are_refused_unless_forced_with_a_reason(
    two_versions: MlflowClient, trained_twice: Path
) -> None:
    train_small(trained_twice / "music", split_seed=1)
    with pytest.raises(ModelError, match=r"were tested on different tracks.*--force --why TEXT"):
        promote(NAME)
    assert champion(two_versions) == "1"
    assert promote(NAME, force=True, why="the demo goes").promoted
    assert champion(two_versions) == "3"
    assert two_versions.get_model_version(NAME, "3").tags["gate_forced_because"] == "the demo goes"


def test_versions_of_one_run_that_went_on_are_compared_by_their_own_predictions(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music")
    run_id = train_small(data, epochs=1, schedule="none", test_fraction=0.2).run_id
    more = small_options(data, epochs=8, schedule="none", test_fraction=0.2)
    train(more, experiment=EXPERIMENT, resume=run_id, given={"epochs"})
    result = promote(NAME)
    assert result.evidence
    assert float(result.evidence["gain"]) > 0, result.reason


def test_versions_without_a_test_digest_cannot_be_compared(two_versions: MlflowClient) -> None:
    for version in "12":
        two_versions.delete_model_version_tag(NAME, version, "test_digest")
    with pytest.raises(ModelError, match="were tested on different tracks"):
        promote(NAME)


def test_a_genre_called_na_counts(
    store: MlflowClient, tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    data = make_corpus(tmp_path / "music", genres=("NA", "null"))
    train_small(data, epochs=1, lr=1e-7)
    outcome = train_small(data, epochs=8)
    reached = outcome.metrics["test_accuracy"]
    assert reached > 0
    assert f", version 1: {reached:.1%} against " in promote(NAME).reason


@pytest.mark.parametrize(("force", "why"), [(True, ""), (False, "because")])
def test_force_and_why_go_together(store: MlflowClient, force: bool, why: str) -> None:
    with pytest.raises(ModelError, match="--force and --why TEXT go together"):
        promote(NAME, force=force, why=why)


def test_promoting_an_unknown_model_names_it(store: MlflowClient) -> None:
    with pytest.raises(ModelError, match="model 'nobody' has no version with the alias challenger"):
        promote("nobody")


def test_a_checkpoint_loads_but_cannot_be_served(trained: Trained) -> None:
    last = next(model for model in models_in(trained.client) if model.name == "epoch-0003")
    with pytest.raises(ModelError, match="cannot be served: it has no MLmodel"):
        servable_folder(f"models:/{last.model_id}")
    servable_folder("models:/genre-classifier@champion")


def test_loading_leaves_no_copy_behind(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    genre_mlflow.load()
    assert not list(tmp_path.iterdir())


def test_loaded_classifier_predicts_and_gives_the_network(trained: Trained) -> None:
    image = next((trained.folder / "music").rglob("*.png"))
    classifier = genre_mlflow.load()
    prediction = classifier.predict(str(image))
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert prediction.genre in classifier.genres
    assert sum(p.numel() for p in classifier.network.parameters()) > 0


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/nobody@champion", "nobody"),
        ("models:/genre-classifier/99", "99"),
        (
            "no/such/folder",
            r"no/such/folder is no folder; a registered model is written models:/NAME@ALIAS",
        ),
    ],
)
def test_missing_model_is_one_line(trained: Trained, uri: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as error:
        genre_mlflow.load(uri)
    assert "\n" not in str(error.value)
