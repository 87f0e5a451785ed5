"""A sheet of pictures as they are changed to be learnt from."""

import hashlib
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genre_mlflow.corpus.corpus import corpus_folder
from genre_mlflow.corpus.folders import BadFile
from genre_mlflow.errors import DataError
from genre_mlflow.features.audio import is_recording
from genre_mlflow.features.augmentation import Augmenter
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import AugmentationSettings, PreprocessingSettings
from genre_mlflow.features.stretching import Stretcher
from genre_mlflow.figures.fonts import legible
from genre_mlflow.figures.mistakes import LABEL_COLUMNS
from genre_mlflow.figures.sheets import first_tracks, tracks_by_genre
from genre_mlflow.files.names import printable

VERSIONS = 4  # of each picture, beside the picture itself
PANEL_INCHES = (2.4, 1.1)


def augmented_figure(
    folder: str, pictures: PreprocessingSettings, augmentation: AugmentationSettings, seed: int
) -> tuple[Figure, list[BadFile]]:
    """Of each genre the first track, as it is and as an epoch may have it; files that are bad.

    Raises `DataError` where there is no track at all.
    """
    pictures.check_drawn()
    preprocessor, bad = Preprocessor(pictures), list[BadFile]()
    found = {
        genre: tracks[0]
        for genre, paths in tracks_by_genre(corpus_folder(folder), bad).items()
        if (tracks := first_tracks(paths, 1, preprocessor, bad))
    }
    if not found:
        broken = f"; {printable(bad[0].path)} {bad[0].reason}" if bad else ""
        raise DataError(f"{folder} has no track that can be drawn, in folders of genres{broken}")
    width, height = PANEL_INCHES
    size = width * (1 + VERSIONS), height * len(found) + 0.3
    figure = Figure(figsize=size, layout="constrained")
    rows = figure.subplots(len(found), 1 + VERSIONS, squeeze=False)
    for number, (row, (genre, (path, data))) in enumerate(zip(rows, found.items(), strict=True)):
        one = preprocessor(data)[:1]  # [1, C, H, W]
        changed = versions(data, one, pictures, augmentation, seed + number)
        for axes, picture in zip(row, [one[0], *changed], strict=True):
            draw(axes, picture)
        row[0].set_ylabel(legible(genre, LABEL_COLUMNS), fontsize=8, parse_math=False)
        name = legible(path.stem, LABEL_COLUMNS)
        row[0].set_title(name, fontsize=7, loc="left", parse_math=False)
    return figure, bad


def versions(
    data: bytes,
    picture: Any,
    pictures: PreprocessingSettings,
    augmentation: AugmentationSettings,
    seed: int,
) -> Any:
    """A track as it may be learnt from, `[VERSIONS, C, H, W]`; `picture`: as it is, one of those.

    Of a recording it is the first segment.
    """
    many = picture.expand(VERSIONS, -1, -1, -1)
    if augmentation.is_warping and is_recording(data):
        sound, *_ = next(Preprocessor(pictures).sounds(data))
        stretcher = Stretcher(replace(augmentation, variants=VERSIONS), pictures)
        many = stretcher.of_sound(sound, hashlib.sha256(data).hexdigest())
        augmentation = augmentation.without_warping
    return Augmenter(augmentation, pictures).by_seed(many, seed)


def draw(axes: Axes, picture: Any) -> None:
    """A tensor `[C, H, W]` of 0 to 255, without axes; levels are magma."""
    pixels = (picture.float() / 255).permute(1, 2, 0).numpy()
    axes.imshow(pixels, aspect="auto", cmap="magma", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])
