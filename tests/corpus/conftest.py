"""The manifest of the real images, scanned once for all tests."""

import pytest

from genre_mlflow.corpus.scan import scan


@pytest.fixture(scope="session")
def real_manifest(real_data, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENRE_HOME", str(tmp_path_factory.mktemp("home")))
        return scan(real_data / "gtzan-mel").manifest
