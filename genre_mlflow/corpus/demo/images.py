"""The demo corpus: ten synthesised genres as spectrogram images, made in seconds.

For a first run without any music at hand. The images go the way of real recordings: sound,
log-mel matrix, magma image.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from genre_mlflow.corpus.demo.genres import RECIPES
from genre_mlflow.corpus.demo.sound import Sound
from genre_mlflow.corpus.demo.synthesis import perform
from genre_mlflow.errors import DataError, SettingsError
from genre_mlflow.features.settings import SpectrogramSettings
from genre_mlflow.features.spectrogram import log_mel, render
from genre_mlflow.files.names import hidden_name

GENRES = tuple(sorted(RECIPES))
SPECTROGRAM = SpectrogramSettings()
SETTINGS_FILE = "demo.json"
RECIPES_VERSION = 2  # raise it when the same settings give other images


@dataclass(frozen=True)
class DemoSettings:
    """How much to synthesise, and from which seed. Raises `SettingsError` outside the ranges.

    `tracks_per_genre` is 1 to 100,000, `duration_s` 1 to 60 seconds, `seed` 0 or more.
    """

    tracks_per_genre: int = 80
    duration_s: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        if not 1 <= self.tracks_per_genre <= 100_000:  # names have five digits
            raise SettingsError(
                f"tracks_per_genre is {self.tracks_per_genre}; allowed: 1 to 100000"
            )
        if not 1 <= self.duration_s <= 60:
            raise SettingsError(f"duration_s is {self.duration_s}; allowed: 1 to 60 seconds")
        if self.seed < 0:
            raise SettingsError(f"seed is {self.seed}; allowed: 0 or more")


def demo_folder(home: Path, settings: DemoSettings | None = None) -> Path:
    """Where below `home` the demo corpus of these settings belongs: each kind has its own place."""
    description = json.dumps(_description(settings or DemoSettings()), sort_keys=True)
    digest = hashlib.sha256(description.encode()).hexdigest()[:8]
    return home / f"demo-{RECIPES_VERSION}-{digest}"


def make_demo(
    folder: Path, settings: DemoSettings | None = None, workers: int | None = None
) -> Path:
    """Make the demo corpus in `folder`, or find it there, and return `folder`.

    The corpus is an `ImageFolder`, `<folder>/<genre>/<genre>.NNNNN.png`, with its settings in
    `demo.json`. Equal settings give equal pixels, whatever the number of `workers` (threads, by
    default one a processor); another kind of processor may round a few pixels to the next colour.
    The folder appears all at once when it is complete; of two processes that make it together,
    the slower one throws its own away.

    Raises
    ------
    DataError
        If `folder` holds something else, another demo corpus or one with images missing.
    """
    settings = settings or DemoSettings()
    folder = Path(folder)
    if not _is_there(folder, settings):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _temporary_sibling(folder) as temporary:
            _write_corpus(temporary, settings, workers or os.cpu_count() or 1)
            try:
                temporary.rename(folder)
            except OSError:
                # Somebody was faster. If it is something else, this says so.
                if not _is_there(folder, settings):
                    raise
    return folder


def synthesise(genre: str, track: int, settings: DemoSettings | None = None) -> Sound:
    """Play one track of the demo corpus, without a file.

    Returns
    -------
    Shape `[round(duration_s * 22050)]`, float32, within -1..1, mono at 22,050 Hz. It depends on
    the seed, the genre and the number of the track alone.

    Raises
    ------
    SettingsError
        If there is no such genre or the track number is negative.
    """
    settings = settings or DemoSettings()
    if genre not in RECIPES:
        raise SettingsError(f"genre is {genre!r}; allowed: {', '.join(GENRES)}")
    if track < 0:
        raise SettingsError(f"track is {track}; allowed: 0 or more")
    rng = np.random.default_rng((settings.seed, GENRES.index(genre), track))
    return perform(RECIPES[genre], rng, settings.duration_s, SPECTROGRAM.sample_rate)


def _write_corpus(folder: Path, settings: DemoSettings, workers: int) -> None:
    tracks = [(genre, track) for genre in GENRES for track in range(settings.tracks_per_genre)]
    for genre in GENRES:
        (folder / genre).mkdir()

    def write_image(genre_and_track: tuple[str, int]) -> None:
        genre, track = genre_and_track
        image = render(log_mel(synthesise(genre, track, settings), SPECTROGRAM))
        image.save(folder / _image_name(genre, track))

    # Threads, not processes: numpy and the PNG writer release the lock, and a caller's script
    # needs no `if __name__ == "__main__"`.
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(write_image, tracks):
            pass
    (folder / SETTINGS_FILE).write_text(json.dumps(_description(settings), indent=2) + "\n")


def _is_there(folder: Path, settings: DemoSettings) -> bool:
    """Tell whether the corpus of these settings is complete; refuse to touch anything else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    remedy = "give another folder or delete this one"
    try:
        found = json.loads((folder / SETTINGS_FILE).read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} exists and is no demo corpus; {remedy}") from error
    if found != _description(settings):
        raise DataError(
            f"{folder} holds a demo corpus made with {found}, not with"
            f" {_description(settings)}; {remedy}"
        )
    for genre in GENRES:
        for track in range(settings.tracks_per_genre):
            if not (folder / _image_name(genre, track)).is_file():
                raise DataError(f"{folder} lacks {_image_name(genre, track)}; {remedy}")
    return True


def _description(settings: DemoSettings) -> dict[str, float]:
    return {"recipes_version": RECIPES_VERSION, **asdict(settings)}


def _image_name(genre: str, track: int) -> str:
    return f"{genre}/{genre}.{track:05d}.png"


@contextmanager
def _temporary_sibling(folder: Path) -> Iterator[Path]:
    """A hidden folder on the same disk, so that renaming it is one step; gone afterwards."""
    temporary = folder.with_name(hidden_name(folder.name, f".{uuid.uuid4().hex}.partial"))
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
