"""Fixtures of the rooms that need a store: larger corpora, a real MLflow server over HTTP."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from support import tracking_server


@pytest.fixture(scope="session")
def make_corpus(make_corpus: Callable[..., Path]) -> Callable[..., Path]:
    """Corpora that are large enough for a test set of two tracks a genre."""
    return partial(make_corpus, tracks=20)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real `mlflow server` that also proxies artifacts."""
    with tracking_server(tmp_path_factory.mktemp("mlflow-server")) as (url, _):
        yield url
