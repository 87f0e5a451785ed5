"""The registry's commands on PostgreSQL, and through a real MLflow server, which has no locks."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import gated
import pytest
from click.testing import CliRunner, Result
from databases import database
from gated import NAME
from mlflow import MlflowClient
from support import assert_mistake, store_in

from genre_mlflow.cli.main import main
from genre_mlflow.jobs import gate

pytestmark = pytest.mark.slow  # a server, and the tables of a database


@pytest.fixture(params=["http", "postgresql"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MlflowClient]:
    """A store with a champion, and a challenger that is better."""
    with ExitStack() as stack:
        if request.param == "http":
            uri = request.getfixturevalue("mlflow_server")
        else:
            uri = stack.enter_context(database())
        found = stack.enter_context(store_in(tmp_path, uri=uri))
        gated.register(20, 20)
        gated.register(32, 30)
        yield found
        found.delete_registered_model(NAME)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_compare_models_promote_and_demote_do_as_on_a_database(client, monkeypatch):
    monkeypatch.setattr(gate, "check_answers", lambda uri, *, fresh: None)
    compared = run("compare", f"models:/{NAME}/2", f"models:/{NAME}@champion")
    assert compared.exit_code == 0, compared.output
    assert "A is better than B" in compared.output
    promoted = run("promote", "--model-name", NAME)
    assert promoted.exit_code == 0, promoted.output
    assert promoted.output.splitlines()[-1].startswith("Promoted: version 2 is better than")
    assert gated.champion() == "2"
    listed = run("models", NAME)
    assert listed.exit_code == 0, listed.output
    assert "champion" in listed.output
    assert run("demote", NAME).output == (
        "Demoted: version 1 is the champion again, version 2 is not\n"
    )
    assert gated.champion() == "1"


def test_a_promotion_that_another_overtook_is_told(client, monkeypatch):
    third = gated.register(33, 33)

    def meanwhile(uri: str, *, fresh: bool) -> None:
        client.set_registered_model_alias(NAME, "champion", third)

    monkeypatch.setattr(gate, "check_answers", meanwhile)
    result = run("promote", "--model-name", NAME, "--version", "2")
    assert result.exit_code == 1
    assert "Not promoted: the champion changed while version 2 was judged, from version 1 to" in (
        result.output
    )
    assert gated.champion() == third


@pytest.mark.parametrize("address", [f"models:/{NAME}/7", "models:/nobody/1"])
def test_a_missing_version_is_one_line(client, address):
    result = run("compare", f"models:/{NAME}/1", address)
    name, version = address.removeprefix("models:/").split("/")
    assert_mistake(result, rf"^Error: model '{name}' has no version '{version}'$")
