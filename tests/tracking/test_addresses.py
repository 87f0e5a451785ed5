"""Addresses of stores, and slips of the pen in them."""

import re
from pathlib import Path

import pytest

from genre_mlflow.errors import ModelError
from genre_mlflow.tracking.addresses import check_address, hidden, sqlite_file

NAME = "MLFLOW_TRACKING_URI"


@pytest.mark.parametrize(
    ("value", "wrong", "meant"),
    [
        ("localhost:5000", "has no scheme", "http://localhost:5000"),
        ("127.0.0.1:5000/", "has no scheme", "http://127.0.0.1:5000/"),
        ("http://here:5000 ", "has a blank or a line break", "http://here:5000"),
        ("http://he re:5000", "has a blank or a line break", "http://here:5000"),
        ("http://here:5000\n", "has a blank or a line break", "http://here:5000"),
        (" sqlite:///a.db", "has a blank or a line break", "sqlite:///a.db"),
        ("postgres://u@h/d", "scheme that SQLAlchemy does not know", "postgresql://u@h/d"),
        ("postgres://u:secret@h/d", "does not know", "postgresql://u:***@h/d"),
        (" ", "is blank", "sqlite:///mlflow.db"),
        ("http//here:5000", "has not the slashes", "http://here:5000"),
        ("https:/here", "has not the slashes", "https://here"),
        ("sqlite:mlflow.db", "has not the slashes", "sqlite:///mlflow.db"),
        ("sqlite://mlflow.db", "has not the slashes", "sqlite:///mlflow.db"),
        ("sqlite:/tmp/a.db", "has not the slashes", "sqlite:////tmp/a.db"),
        ("http://here:5000/#/experiments/1", "is the address of a page", "http://here:5000"),
        ("http://", "names no host", "http://HOST:PORT"),
        ("http://here:port", "names no host", "http://HOST:PORT"),
    ],
)
def test_a_slip_of_the_pen_is_named_with_what_is_meant(value: str, wrong: str, meant: str) -> None:
    with pytest.raises(ModelError, match=rf"{wrong}.*; is {re.escape(meant)} meant\?") as caught:
        check_address(NAME, value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "", "http://here:5000", "https://u:p@here/mlflow", "sqlite:////tmp/my music/mlflow.db",
        "sqlite:///mlflow.db", "postgresql+psycopg://u:p@h:5432/d", "file:///a b", "databricks",
        "/tmp/my runs",
    ],
)  # fmt: skip
def test_what_may_be_meant_passes(value: str) -> None:
    check_address(NAME, value)


def test_passwords_are_hidden() -> None:
    assert hidden("postgresql://me:p4ss@here:5432/d") == "postgresql://me:***@here:5432/d"
    assert hidden("http://here:5000") == "http://here:5000"


def test_a_sqlite_address_may_be_written_as_mlflow_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sqlite_file("sqlite:////a/my%20music/b.db") == Path("/a/my music/b.db")
    monkeypatch.chdir(tmp_path)
    assert sqlite_file("sqlite:///b.db") == tmp_path / "b.db"
