"""Small pictures of all tracks of a manifest, which tell recordings from one another."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from genre_mlflow.corpus.folders import BadFile
from genre_mlflow.corpus.near_copies import BANDS, COLUMNS, Levels, Progress
from genre_mlflow.errors import DataError
from genre_mlflow.features.audio import Samples, is_recording
from genre_mlflow.features.muting import muted_decoders
from genre_mlflow.features.preprocessing import Preprocessor, decoding, read
from genre_mlflow.features.settings import KEPT, UNDONE, PreprocessingSettings

Floats = npt.NDArray[np.float64]
Thumbnail = tuple[Levels, list[tuple[float, float]]]  # of each picture: where it begins, length, s
CHUNK = 64  # files between two words of progress
WIDER = 1.03  # of a segment; squeezed more than so, a sound is not found in a clip of itself


@dataclass(frozen=True)
class Thumbnails:
    """A picture of each segment of each track.

    `levels`: `[segments, 64, 128]`, linear in dB. `track`: the row of the manifest. `start_s`,
    `length_s`: where a picture begins in its recording, and how much sound it is drawn from, also
    where that is repeated; NaN where the track came as an image.
    """

    levels: Levels
    track: npt.NDArray[np.intp]
    start_s: Floats
    length_s: Floats


def settings_for(drawing: PreprocessingSettings) -> dict[str, PreprocessingSettings]:
    """Those of thumbnails, by what becomes of colours; recordings are drawn as `drawing` says."""
    values = {name: getattr(drawing, name) for name in drawing.__dataclass_fields__}
    size = {"image_size": BANDS, "image_width": COLUMNS}
    return {
        colours: PreprocessingSettings(**(values | size | {"colours": colours}))
        for colours in (UNDONE, KEPT)
    }


def thumbnails(
    manifest: pd.DataFrame,
    drawing: PreprocessingSettings,
    progress: Progress = lambda done, total: None,
) -> tuple[Thumbnails, list[BadFile]]:
    """Of every track; and the files that cannot be read any more, which have none.

    `drawing`: how recordings are drawn, as the images among the tracks were.
    """
    drawing.check_drawn()
    ways = {colours: Preprocessor(settings) for colours, settings in settings_for(drawing).items()}
    paths = [Path(path) for path in manifest["path"]]
    found: list[Thumbnail | BadFile] = []
    with muted_decoders(), ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), CHUNK):
            found += pool.map(partial(thumbnail, ways=ways), paths[start : start + CHUNK])
            progress(len(found), len(paths))
    bad = [one for one in found if isinstance(one, BadFile)]
    good = [(row, one) for row, one in enumerate(found) if not isinstance(one, BadFile)]
    times = np.array([pair for _, (_, many) in good for pair in many]).reshape(-1, 2)
    track = np.array([row for row, (_, many) in good for _ in many], np.intp)
    levels = np.concatenate(
        [np.empty((0, BANDS, COLUMNS), np.uint8), *(one for _, (one, _) in good)]
    )
    return Thumbnails(levels, track, times[:, 0], times[:, 1]), bad


def thumbnail(path: Path, ways: dict[str, Preprocessor]) -> Thumbnail | BadFile:
    """That of one file."""
    try:
        data = read(path)
        with decoding():
            return of_sounds(data, ways[UNDONE]) if is_recording(data) else of_image(data, ways)
    except DataError as error:
        return BadFile(path, str(error))


def of_image(data: bytes, ways: dict[str, Preprocessor]) -> Thumbnail:
    """That of an image, whose seconds nobody knows; in colours of no known map its brightness."""
    try:
        tensor = ways[UNDONE](data)
    except DataError:
        tensor = ways[KEPT](data)
    return levels_in(tensor.numpy()), [(np.nan, np.nan)]


def of_sounds(data: bytes, way: Preprocessor) -> Thumbnail:
    """Those of the segments of a recording, as `pieces` has them."""
    rate = way.settings.spectrogram.sample_rate
    length = round(way.settings.segment_s * rate)
    pictures, times = [], []
    for sound, start_s, _ in way.sounds(data):
        for piece in pieces(sound, length):
            pictures.append(levels_in(way.prepare(way.draw(piece)).numpy()))
            times.append((start_s, len(piece) / rate))
    return np.concatenate(pictures), times


def pieces(sound: Samples, length: int) -> list[Samples]:
    """A segment as it is, for images of it; before it, where it is long, as much as others have."""
    return [sound] if len(sound) <= WIDER * length else [sound[:length], sound]


def levels_in(pixels: npt.NDArray[np.uint8]) -> Levels:
    """Means of the channels, `[pictures, bands, columns]`."""
    return pixels.mean(axis=1).astype(np.uint8)
