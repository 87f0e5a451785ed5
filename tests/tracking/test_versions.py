"""The versions of a registered model, with what they reached, as the store has them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from support import Trained, assert_mistake, store_in, train_small

from genre_mlflow.cli.main import main
from genre_mlflow.errors import ModelError
from genre_mlflow.tracking.versions import list_versions

pytestmark = pytest.mark.slow

NAME = "genre-classifier"


@pytest.fixture(scope="module")
def two(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowClient]:
    """A store with two versions of one model and one of another."""
    folder = tmp_path_factory.mktemp("versions") / "store"
    with store_in(folder, like=trained.folder) as client:
        train_small(trained.folder / "music", epochs=1)
        train_small(trained.folder / "music", epochs=1, model_name="another", split_seed=1)
        yield client


def words(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", *arguments], catch_exceptions=False)


def test_the_newest_stands_first_with_its_aliases(two: MlflowClient) -> None:
    found = list_versions(NAME)
    assert [(facts.version, facts.aliases) for facts in found] == [
        (2, ["challenger"]), (1, ["champion"]),
    ]  # fmt: skip
    assert {facts.corpus for facts in found} == {"music"}


def test_figures_are_those_that_the_training_printed(two: MlflowClient, trained: Trained) -> None:
    first, m = list_versions(NAME)[-1], trained.outcome.metrics
    assert (first.accuracy, first.low, first.high) == pytest.approx(
        (m["test_accuracy"], m["test_accuracy_low"], m["test_accuracy_high"])
    )


def test_the_digest_tells_test_sets_apart(two: MlflowClient) -> None:
    digests = {(facts.name, facts.version): facts.digest for facts in list_versions()}
    assert list(digests) == [("another", 1), (NAME, 2), (NAME, 1)]
    assert digests[NAME, 1] == digests[NAME, 2] != digests["another", 1]


def test_a_version_without_what_was_recorded_is_listed(two: MlflowClient) -> None:
    two.create_registered_model("bare")
    two.create_model_version("bare", source="s3://elsewhere/model")
    (facts,) = list_versions("bare")
    assert (facts.accuracy, facts.low, facts.digest, facts.corpus) == (None, None, "", "")
    assert words("bare").exit_code == 0
    two.delete_registered_model("bare")


def test_the_terminal_has_a_row_a_version(two: MlflowClient) -> None:
    result = words(NAME)
    assert result.exit_code == 0
    head, newest, oldest = result.output.splitlines()
    assert head.split() == ["model", "version", "alias", "test", "accuracy", "test", "set",
                            "corpus", "registered"]  # fmt: skip
    facts = list_versions(NAME)[0]
    assert newest.split()[:3] == [NAME, "2", "challenger"]
    assert f"{facts.accuracy:.1%} ({facts.low:.1%} to {facts.high:.1%})  {facts.digest[:8]}  " in (
        newest
    )
    assert oldest.split()[:3] == [NAME, "1", "champion"]
    assert len(words().output.splitlines()) == 4


def test_an_unknown_name_is_one_line(two: MlflowClient) -> None:
    assert_mistake(words("nobody"), r"^Error: there is no registered model 'nobody' in this store$")


def test_a_store_without_models_says_so(store: MlflowClient, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^this store has no registered models; train registers"):
        list_versions()
    store.create_registered_model("empty")
    with pytest.raises(ModelError, match=r"^model 'empty' has no versions; train registers one$"):
        list_versions("empty")
