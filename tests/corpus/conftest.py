"""The manifest of the real images, scanned once for all tests."""

import pytest

from genre_mlflow.corpus.manifest import scan


@pytest.fixture(scope="session")
def real_manifest(real_data):
    return scan(real_data / "gtzan-mel").manifest
