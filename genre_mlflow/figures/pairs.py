"""Pairs of tracks side by side, for somebody to judge whether they are one recording."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genre_mlflow.corpus.pairs import Pair
from genre_mlflow.corpus.thumbnails import Thumbnails
from genre_mlflow.errors import DataError
from genre_mlflow.features import audio
from genre_mlflow.features.images import decode_spectrogram, to_rgb
from genre_mlflow.features.preprocessing import Preprocessor, read
from genre_mlflow.features.settings import PreprocessingSettings
from genre_mlflow.figures.fonts import legible
from genre_mlflow.figures.sheets import draw_matrix, draw_picture, matrix_of
from genre_mlflow.files.names import printable

MOST_PAIRS = 20  # of a sheet
PAIR_INCHES = (11.0, 2.3)
NAME_COLUMNS = 60


def pairs_figure(
    pairs: Sequence[Pair],
    paths: Sequence[str],
    pictures: Thumbnails,
    drawing: PreprocessingSettings,
) -> Figure:
    """A row for each of the first pairs: the segments that are most like each other.

    What lies over nothing of the other one is pale. `paths`: of the tracks of the manifest.
    """
    shown = [pair for pair in pairs if min(pair.places) >= 0][:MOST_PAIRS]
    if not shown:
        raise DataError("there is no pair to draw")
    width, height = PAIR_INCHES
    figure = Figure(figsize=(width, height * len(shown)), layout="constrained")
    rows = figure.subplots(len(shown), 2, squeeze=False)
    preprocessor = Preprocessor(drawing)
    for row, pair in zip(rows, shown, strict=True):
        said = f"score {pair.score:.2f}, shift {pair.shift_text}"
        for axes, place, name, more in zip(
            row, pair.places, (pair.one, pair.other), (said, pair.known), strict=True
        ):
            draw_segment(axes, Path(paths[pictures.track[place]]), place, pictures, preprocessor)
            title = legible(name, NAME_COLUMNS) + (f", {more}" if more else "")
            axes.set_title(title, fontsize=8, loc="left", parse_math=False)
        mark_overlap(row, pair, pictures)
    return figure


def draw_segment(
    axes: Axes, path: Path, place: int, pictures: Thumbnails, preprocessor: Preprocessor
) -> None:
    """The segment at a place, as far as it was compared: with seconds and Hz, an image as it is.

    Raises `DataError` for a file that is another one by now.
    """
    try:
        data = read(path)
        if not audio.is_recording(data):
            draw_picture(axes, np.asarray(to_rgb(decode_spectrogram(data))))
            return
        start_s = pictures.start_s[place]
        starting = (s for s, begin_s, _ in preprocessor.sounds(data) if begin_s == start_s)
        sound = next(starting, None)
        if sound is None:
            raise DataError("has changed since it was compared; run the command again")
    except DataError as error:
        raise DataError(f"{printable(path)} {error}") from error
    n_samples = round(pictures.length_s[place] * preprocessor.settings.spectrogram.sample_rate)
    matrix = matrix_of(sound[:n_samples], preprocessor)
    draw_matrix(axes, matrix, start_s, preprocessor.settings)


def mark_overlap(row: Sequence[Axes], pair: Pair, pictures: Thumbnails) -> None:
    """Make pale, in both pictures, the part that the other one does not have."""
    lengths, starts = (
        column[list(pair.places)] for column in (pictures.length_s, pictures.start_s)
    )
    shift = pair.shift
    if pair.in_seconds:  # back to a share of the picture
        length_s = lengths[0] if np.isfinite(lengths[0]) else lengths[1]
        begin_s, other_s = np.nan_to_num(starts)
        shift = (pair.shift - begin_s + other_s) / length_s
    for axes, moved in zip(row, (shift, -shift), strict=True):
        left, right = axes.get_xlim()
        begin, end = (left + np.clip([moved, 1 + moved], 0, 1) * (right - left)).tolist()
        for outside in ((left, begin), (end, right)):
            axes.axvspan(*outside, color="white", alpha=0.6, linewidth=0)
        axes.set_xlim(left, right)
