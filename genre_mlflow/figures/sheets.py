"""Sheets to look at before training: music as it is, and what the network gets of it."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import NullLocator

from genre_mlflow.corpus.corpus import corpus_folder
from genre_mlflow.corpus.folders import BadFile, look_below
from genre_mlflow.corpus.scan import genre_folders
from genre_mlflow.errors import DataError
from genre_mlflow.features import audio
from genre_mlflow.features.images import decode_spectrogram, to_rgb
from genre_mlflow.features.preprocessing import Preprocessor, read
from genre_mlflow.features.settings import SAMPLE_RATE, PreprocessingSettings
from genre_mlflow.features.spectrogram import FEATURE_MATRIX
from genre_mlflow.figures.fonts import legible
from genre_mlflow.figures.mistakes import LABEL_COLUMNS
from genre_mlflow.files.names import printable

MAX_PIXELS = 60_000  # of a side; matplotlib draws up to 65,535
MAX_FRAMES = 1500  # columns of a drawn matrix: more than there are pixels
SHOWN_SEGMENTS, NUMBERED_SEGMENTS = 6, 24
DPI = 100
# The sheet in inches: margin, heading of a row, height of a panel, width of a matrix, its labels.
LEFT, HEAD, PANEL, MATRIX, LABELS = 0.1, 0.5, 1.35, 2.4, 0.45
ROW_INCHES = HEAD + PANEL + 0.4
TRACK_INCHES = LABELS + MATRIX + PANEL + 0.2
COLUMNS_PER_INCH = 10
TICKS_HZ = (0, 512, 1024, 2048, 4096, 8192)
ROW_LABELS = {"mel": "Hz", "mfcc": "MFCC", "chroma": "pitch class"}
LANE_COLOURS = ("#4477aa", "#6699bb")


def genres_figure(
    folder: str, per_genre: int, settings: PreprocessingSettings
) -> tuple[Figure, list[BadFile]]:
    """The first tracks of each genre, a row a genre, and the files that could not be read.

    Of a recording its first segment is drawn. Raises `DataError` where there is no track at all.
    """
    settings.check_drawn()
    preprocessor = Preprocessor(settings)
    bad: list[BadFile] = []
    rows = {
        genre: first_tracks(paths, per_genre, preprocessor, bad)
        for genre, paths in tracks_by_genre(corpus_folder(folder), bad).items()
    }
    rows = {genre: tracks for genre, tracks in rows.items() if tracks}
    if not rows:
        broken = f"; {printable(bad[0].path)} {bad[0].reason}" if bad else ""
        raise DataError(f"{folder} has no track that can be drawn, in folders of genres{broken}")
    n_columns = max(len(tracks) for tracks in rows.values())
    width, height = LEFT + TRACK_INCHES * n_columns, ROW_INCHES * len(rows)
    figure = Figure(figsize=(width, height))
    for number, (genre, tracks) in enumerate(rows.items()):
        draw_genre(figure, height - ROW_INCHES * number, genre, tracks, preprocessor)
    return figure, bad


def tracks_by_genre(folder: Path, bad: list[BadFile]) -> dict[str, list[Path]]:
    """The files of each genre, of all splits; what is out of reach is added to `bad`."""
    paths: dict[str, list[Path]] = {}
    for _, genre, root in genre_folders(folder)[1]:
        found, closed, _ = look_below(root)
        paths.setdefault(genre, []).extend(found)
        bad += closed
    return dict(sorted(paths.items()))


def first_tracks(
    paths: list[Path], wanted: int, preprocessor: Preprocessor, bad: list[BadFile]
) -> list[tuple[Path, bytes]]:
    """The first files that can be read, with their bytes; others are added to `bad`."""
    found: list[tuple[Path, bytes]] = []
    for path in paths:
        if len(found) == wanted:
            break
        try:
            data = read(path)
            next(preprocessor.segments(data))
            found.append((path, data))
        except DataError as error:
            bad.append(BadFile(path, str(error)))
    return found


def draw_genre(
    figure: Figure,
    top: float,
    genre: str,
    tracks: list[tuple[Path, bytes]],
    preprocessor: Preprocessor,
) -> None:
    """A row of the sheet: of each track what it is, and beside it the network's input.

    Placed in inches, `top` above the bottom of the figure: matplotlib's own layout would give
    rows of different columns.
    """
    width, height = figure.get_size_inches()
    figure.text(
        LEFT / 2 / width, (top - 0.24) / height,
        legible(genre, int(COLUMNS_PER_INCH * width)),
        fontweight="bold", fontsize=11, parse_math=False,
    )  # fmt: skip
    for column, (path, data) in enumerate(tracks):
        x, y = LEFT + TRACK_INCHES * column + LABELS, top - HEAD - PANEL
        left = figure.add_axes((x / width, y / height, MATRIX / width, PANEL / height))
        x += MATRIX + 0.1
        right = figure.add_axes((x / width, y / height, PANEL / width, PANEL / height))
        if audio.is_recording(data):
            sound, start_s, end_s = next(preprocessor.sounds(data))
            draw_matrix(left, matrix_of(sound, preprocessor), start_s, preprocessor.settings)
            repeated = ", repeated" if len(sound) / SAMPLE_RATE > end_s - start_s + 0.01 else ""
            image, times = preprocessor.draw(sound), f", {start_s:g} to {end_s:.3g} s{repeated}"
        else:
            image, times = decode_spectrogram(data), ""
            draw_picture(left, np.asarray(to_rgb(image)))
        name = legible(path.stem, LABEL_COLUMNS) + times
        left.set_title(name, fontsize=8, loc="left", parse_math=False)
        draw_input(right, preprocessor, image)


def track_figure(path: Path, settings: PreprocessingSettings) -> Figure:
    """One file: of a recording the waveform, its segments and the spectrogram of all of it.

    Below lie the inputs of the network, one a segment, as far as they fit.
    """
    settings.check_drawn()
    preprocessor = Preprocessor(settings)
    try:
        data = read(path)
        segments = list(preprocessor.segments(data))
    except DataError as error:
        raise DataError(f"{printable(path)} {error}") from error
    figure = Figure(figsize=(11, 8 if audio.is_recording(data) else 5), layout="constrained")
    figure.suptitle(legible(path.name, 90), parse_math=False)
    if not audio.is_recording(data):
        left, right = figure.subplots(1, 2)
        image = segments[0].image
        draw_picture(left, np.asarray(to_rgb(image)))
        left.set_aspect("equal")
        left.set_title(f"the image, {image.width} x {image.height}", fontsize=8, loc="left")
        draw_input(right, preprocessor, image, "what the network gets, ")
        return figure
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[2.6, 1])[:, 0]
    samples = preprocessor.decode(data)
    bounds = [(segment.start_s, segment.end_s) for segment in segments]
    draw_recording(above, samples, bounds, preprocessor)
    for number, axes in enumerate(np.ravel(below.subplots(1, SHOWN_SEGMENTS))):
        if number < len(segments):
            draw_input(axes, preprocessor, segments[number].image, f"{number + 1}: ")
        else:
            axes.axis("off")
    more = len(segments) - SHOWN_SEGMENTS
    shown = f", the first {SHOWN_SEGMENTS} of {len(segments)} segments" if more > 0 else ""
    below.suptitle(f"what the network gets{shown}", fontsize=10)
    return figure


def draw_recording(
    part: SubFigure,
    samples: audio.Samples,
    bounds: list[tuple[float, float]],
    preprocessor: Preprocessor,
) -> None:
    """Waveform, the lanes of the segments, and spectrogram, above one another."""
    import librosa.display

    top, middle, bottom = part.subplots(3, 1, sharex=True, height_ratios=[1, 0.35, 2])
    librosa.display.waveshow(samples, sr=SAMPLE_RATE, ax=top, axis="s", color=LANE_COLOURS[0])
    top.set_ylabel("amplitude")
    top.set_xlabel("")
    draw_lanes(middle, bounds)
    draw_matrix(bottom, matrix_of(samples, preprocessor), 0.0, preprocessor.settings, size=9)
    for axes, colour in ((top, "0.3"), (bottom, "white")):
        for second in sorted({bound for pair in bounds for bound in pair})[1:-1]:
            axes.axvline(second, color=colour, linestyle=":", linewidth=0.8)
    top.set_xlim(0, len(samples) / SAMPLE_RATE)


def draw_lanes(axes: Axes, bounds: list[tuple[float, float]]) -> None:
    """Each segment as a bar; those that overlap lie below one another."""
    ends: list[float] = []  # of the last segment in each lane
    for number, (start, end) in enumerate(bounds):
        free = (lane for lane, last in enumerate(ends) if last <= start)
        lane = next(free, len(ends))
        ends[lane : lane + 1] = [end]
        colour = LANE_COLOURS[number % len(LANE_COLOURS)]
        axes.broken_barh([(start, end - start)], (lane + 0.08, 0.84), color=colour)
        if len(bounds) <= NUMBERED_SEGMENTS:
            axes.text(
                (start + end) / 2, lane + 0.5, str(number + 1), ha="center", va="center",
                fontsize=7, color="white",
            )  # fmt: skip
    axes.set_ylim(len(ends), 0)
    axes.set_yticks([])
    axes.set_ylabel("segments", rotation=0, ha="right", va="center")


def matrix_of(sound: audio.Samples, preprocessor: Preprocessor) -> npt.NDArray[np.float32]:
    """The features of sound, `[rows, frames]`."""
    settings = preprocessor.settings
    return FEATURE_MATRIX[settings.features](sound, settings)


def draw_matrix(
    axes: Axes,
    matrix: npt.NDArray[np.float32],
    start_s: float,
    settings: PreprocessingSettings,
    size: int = 7,
) -> None:
    """A matrix of features with its axes, as librosa draws it."""
    import librosa.display

    every = -(-matrix.shape[1] // MAX_FRAMES)
    hop = every * settings.hop_length
    shown = matrix[:, ::every]
    row_axes: dict[str, Any] = {}
    if settings.features == "mel":
        row_axes = {"y_axis": "mel", "fmin": settings.fmin, "fmax": settings.highest_hz}
    elif settings.features == "chroma":
        row_axes = {"y_axis": "chroma"}
    librosa.display.specshow(
        shown,
        x_coords=start_s + np.arange(shown.shape[1]) * hop / SAMPLE_RATE,
        sr=SAMPLE_RATE,
        hop_length=hop,
        x_axis="s",
        cmap="magma",
        ax=axes,
        rasterized=True,
        **row_axes,
    )
    if settings.features == "mel":
        space_as_mel(axes, settings.fmin, settings.highest_hz)
    axes.set_xlabel("s", fontsize=size, labelpad=1)
    axes.set_ylabel(ROW_LABELS[settings.features], fontsize=size, labelpad=1)
    axes.tick_params(labelsize=size)


def space_as_mel(axes: Axes, lowest_hz: float, highest_hz: float) -> None:
    """Give each band the height that it has in the network's input.

    librosa's own mel axis is linear below 1 kHz and logarithmic above, but not as steep as mel.
    """
    import librosa

    axes.set_yscale("function", functions=(librosa.hz_to_mel, librosa.mel_to_hz))
    ticks = [hz for hz in TICKS_HZ if lowest_hz <= hz <= highest_hz]
    if len(ticks) < 3:  # a narrow range
        ticks = [round(hz) for hz in np.linspace(lowest_hz, highest_hz, 4)]
    axes.set_yticks(ticks, [str(hz) for hz in ticks])
    axes.yaxis.set_minor_locator(NullLocator())


def draw_picture(axes: Axes, pixels: npt.NDArray[np.uint8]) -> None:
    """An image without axes: nobody knows its seconds and Hz."""
    axes.imshow(pixels, aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])


def draw_input(axes: Axes, preprocessor: Preprocessor, image: Any, what: str = "") -> None:
    """The tensor that the network gets, uint8 `[1, C, H, W]`, as an image; levels are magma."""
    pixels = preprocessor.prepare(image)[0].permute(1, 2, 0).numpy()
    height, width, channels = pixels.shape
    levels: dict[str, Any] = {"cmap": "magma", "vmin": 0, "vmax": 255} if channels == 1 else {}
    axes.imshow(pixels, aspect="auto", **levels)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"{what}{height} x {width}", fontsize=8, loc="left")


def find(folder: str, path: str) -> Path:
    """A file by its path, from the working folder or from `folder`."""
    candidates = [Path(path), corpus_folder(folder) / path]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise DataError(f"--file is {path!r}, which is no file, and none below {folder}")
    return found


def dpi(figure: Figure) -> int:
    """Dots per inch that keep a large sheet within what can be drawn."""
    return max(10, min(DPI, int(MAX_PIXELS / max(figure.get_size_inches()))))
