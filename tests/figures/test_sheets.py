"""Sheets hold what they promise: genres, axes in seconds and Hz, and the network's input."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from sounds import encode, tone

from genre_mlflow.cli.main import main
from genre_mlflow.errors import DataError
from genre_mlflow.features.preprocessing import Preprocessor
from genre_mlflow.features.settings import AugmentationSettings, PreprocessingSettings
from genre_mlflow.features.stretching import Stretcher
from genre_mlflow.figures.augmented import VERSIONS, augmented_figure
from genre_mlflow.figures.sheets import (
    DPI,
    MAX_PIXELS,
    ROW_INCHES,
    dpi,
    draw_lanes,
    genres_figure,
    track_figure,
)

pytestmark = pytest.mark.slow  # librosa compiles at its first import, half a minute
SETTINGS = PreprocessingSettings(image_size=32, image_width=32, segment_s=1.0)


def show(*words: object) -> Result:
    arguments = ["corpus", "show", *map(str, words)]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Genres with names that would be taken for formulas or run off the sheet."""
    folder = tmp_path / "music"
    for genre, hz in (("$R\\&B$ 100%_{x}", 440), ("endless " * 30, 660), ("jazz", 880)):
        (folder / genre).mkdir(parents=True)
        (folder / genre / "b.wav").write_bytes(encode(tone(2.0, hz)))
    with Image.effect_noise((40, 30), 90) as noise:
        noise.save(folder / "jazz" / "a $x$.png")
    return folder


def inputs(figure) -> list[np.ndarray]:
    """Pixels of the network that the figure shows."""
    shown = [image.get_array() for axes in figure.axes for image in axes.images]
    return [np.asarray(pixels) for pixels in shown if pixels.shape == (32, 32)]


def test_each_genre_has_a_row_with_every_track_before_and_after(music):
    figure, bad = genres_figure(str(music), 3, SETTINGS)
    assert bad == []
    assert [text.get_text()[:8] for text in figure.texts] == ["$R\\&B$ 1", "endless ", "jazz"]
    assert len(figure.axes) == 2 * 4
    expected = Preprocessor(SETTINGS)(music / "jazz" / "b.wav")[0, 0]
    assert any(np.array_equal(pixels, expected) for pixels in inputs(figure))
    assert len(inputs(figure)) == 4


def test_a_recording_has_axes_in_seconds_and_hz(music):
    figure, _ = genres_figure(str(music), 1, SETTINGS)
    left = figure.axes[0]
    assert (left.get_xlabel(), left.get_ylabel()) == ("s", "Hz")
    assert left.get_xlim() == pytest.approx((0, 1), abs=0.03)
    assert left.get_ylim() == pytest.approx((0, 11_025), abs=350)
    assert left.get_title(loc="left") == "b, 0 to 1 s"


def test_the_loudest_cell_stands_at_the_frequency_of_the_tone(music):
    figure, _ = genres_figure(str(music), 1, SETTINGS)
    for axes, hz in ((figure.axes[0], 440), (figure.axes[2], 660)):
        (mesh,) = axes.collections
        row = np.asarray(mesh.get_array()).mean(axis=1).argmax()
        corners = mesh.get_coordinates()[:, 0, 1]
        assert corners[row] - 25 < hz < corners[row + 1] + 25


@pytest.mark.parametrize(("fmin", "fmax"), [(0.0, 0.0), (200.0, 5000.0), (900.0, 1100.0)])
def test_a_sound_stands_as_high_beside_the_input_as_in_it(tmp_path, fmin, fmax):
    path = tmp_path / "tone.wav"
    path.write_bytes(encode(tone(1.0, 1000)))
    settings = PreprocessingSettings(segment_s=1.0, fmin=fmin, fmax=fmax, n_mels=32)
    figure = track_figure(path, settings)
    axes = figure.axes[2]
    seen = axes.transAxes.inverted().transform(axes.transData.transform((0.5, 1000)))[1]
    rows = Preprocessor(settings)(path)[0].sum(dim=(0, 2))
    assert seen == pytest.approx(1 - int(rows.argmax()) / len(rows), abs=0.04)
    assert len(axes.get_yticks()) >= 3


@pytest.mark.parametrize(
    ("features", "label"),
    [
        ("mfcc", "MFCC"),
        ("chroma", "pitch class"),
    ],
)
def test_other_features_have_their_own_axis(music, features, label):
    settings = PreprocessingSettings(
        image_size=32, image_width=32, segment_s=1.0, features=features
    )
    figure, _ = genres_figure(str(music), 1, settings)
    assert figure.axes[0].get_ylabel() == label


def test_columns_agree_between_rows_and_stay_on_the_sheet(music):
    figure, _ = genres_figure(str(music), 2, SETTINGS)
    boxes = [axes.get_position() for axes in figure.axes]
    assert len({round(box.x0, 6) for box in boxes}) == 4
    assert all(min(box.min) >= 0 and max(box.max) <= 1 for box in boxes)
    edge = figure.bbox.width
    assert all(text.get_window_extent().x1 <= edge for text in figure.texts)


def test_a_broken_file_is_said_and_the_next_one_drawn(music, tmp_path):
    (music / "jazz" / "0.mp3").write_bytes(b"ID3 and nothing else")
    result = show(music, "--out", tmp_path / "sheet.png", "--per-genre", 1, "--segment-s", 1)
    assert result.exit_code == 2
    assert re.search(r"^/.*jazz/0\.mp3: holds no sound", result.stderr)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height == pytest.approx(3 * ROW_INCHES * DPI, abs=1)


@pytest.mark.parametrize("hop_s", [0.0, 0.5])
def test_one_file_shows_waveform_segments_and_inputs(music, hop_s):
    path = music / "jazz" / "b.wav"
    settings = PreprocessingSettings(image_size=32, image_width=32, segment_s=1.0, hop_s=hop_s)
    figure = track_figure(path, settings)
    wave, lanes, spectrogram = figure.axes[:3]
    assert wave.get_ylabel() == "amplitude"
    assert wave.get_xlim() == spectrogram.get_xlim() == (0, 2)
    assert spectrogram.get_ylabel() == "Hz"
    expected = Preprocessor(settings)(path)[:, 0].numpy()
    assert np.array_equal(np.stack(inputs(figure)), expected)
    assert len(lanes.collections) == len(expected)


@pytest.mark.parametrize(
    ("bounds", "n_lanes"),
    [([(0, 30)], 1), ([(0, 5), (5, 10)], 1), ([(0, 6), (3, 9), (6, 12), (9, 15)], 2),
     ([(0, 5), (5, 10), (7.6, 12.6)], 2)],
)  # fmt: skip
def test_segments_that_overlap_lie_in_different_lanes(bounds, n_lanes):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    draw_lanes(axes, bounds)
    assert axes.get_ylim() == (n_lanes, 0)


def test_one_image_shows_itself_and_the_input(music, tmp_path):
    figure = track_figure(music / "jazz" / "a $x$.png", SETTINGS)
    assert figure.axes[0].get_title(loc="left") == "the image, 40 x 30"
    assert len(inputs(figure)) == 1
    out = tmp_path / "one.png"
    assert show(music, "--file", "jazz/a $x$.png", "--out", out).output == f"Sheet: {out}\n"


def test_what_is_learnt_from_is_drawn_beside_the_track_itself(music, tmp_path):
    augmentation = AugmentationSettings(roll=1.0)
    figure, bad = augmented_figure(str(music), SETTINGS, augmentation, seed=0)
    assert bad == []
    rows = [axes.images[0].get_array() for axes in figure.axes]
    genres = [axes.get_ylabel() for axes in figure.axes[:: 1 + VERSIONS]]
    folders = sorted(path.name for path in music.iterdir() if path.is_dir())
    assert [name[:10] for name in genres] == [name[:10] for name in folders]
    first, *changed = rows[: 1 + VERSIONS]
    (path,) = (music / folders[0]).glob(f"{figure.axes[0].get_title(loc='left')}.*")
    assert np.allclose(first * 255, Preprocessor(SETTINGS)(path)[0, 0])
    for picture in changed:
        assert any(np.array_equal(np.roll(first, s, axis=1), picture) for s in range(1, 32))


def test_of_a_recording_the_variants_are_drawn_that_are_learnt_from(tmp_path):
    (tmp_path / "music" / "jazz").mkdir(parents=True)
    data = encode(tone(1.5, hz=700))
    (tmp_path / "music" / "jazz" / "a.wav").write_bytes(data)
    amounts = AugmentationSettings(pitch_shift=6.0, roll=0.5)
    figure, _ = augmented_figure(str(tmp_path / "music"), SETTINGS, amounts, seed=0)
    _, *changed = [axes.images[0].get_array() * 255 for axes in figure.axes]
    variants = Stretcher(amounts, SETTINGS)(data, hashlib.sha256(data).hexdigest())
    for picture, variant in zip(changed, variants, strict=True):
        own = variant[0, 0].numpy()
        assert any(np.allclose(np.roll(own, s, axis=1), picture, atol=0.01) for s in range(32))


def test_the_sheet_of_what_is_learnt_from_is_written(music, tmp_path):
    words = "--augment", "--roll", 1, "--time-mask", 0.2, "--seed", 3
    result = show(music, "--out", tmp_path / "augmented.png", *words)
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "augmented.png") as sheet:
        assert sheet.width > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["music", "--out", "s.png", "--augment"],
            r"--augment changes nothing; give one",
        ),
        (["music", "--out", "s.png", "--roll", "1"], r"do with --augment alone$"),
        (
            ["music", "--out", "s.png", "--augment", "--roll", "1", "--file", "x"],
            r"the first tracks: leave --file, --per-genre out$",
        ),
        (["music", "--out", "sheet.jpg"], r"--out is 'sheet\.jpg'; allowed are names that end in"),
        (["music", "--out", "no/sheet.png"], r"no is no folder$"),
        (["nowhere", "--out", "sheet.png"], r"nowhere is no folder"),
        (["empty", "--out", "sheet.png"], r"empty has no track that can be drawn"),
        (["music", "--out", "s.png", "--file", "x.wav"], r"--file is 'x\.wav', which is no file"),
        (["music", "--out", "s.png", "--file", "bad.wav"], r"bad\.wav is neither a PNG"),
        (
            ["music", "--out", "s.png", "--segment-s", "0"],
            r"segment_s is 0.0; allowed are 1 to 600 s",
        ),
    ],
)
def test_mistakes_are_one_line(music, tmp_path, monkeypatch, words, message):
    (tmp_path / "empty" / "jazz").mkdir(parents=True)
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    monkeypatch.chdir(tmp_path)
    result = show(*words)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.output
    assert re.search(message, result.stderr)
    assert not list(tmp_path.glob("*.png"))


def test_a_huge_sheet_keeps_within_what_can_be_drawn():
    from matplotlib.figure import Figure

    assert dpi(Figure((5, 20))) == DPI
    assert dpi(Figure((5, 2000))) * 2000 <= MAX_PIXELS


def test_an_hour_is_drawn_in_as_many_columns_as_can_be_seen(monkeypatch, music):
    from genre_mlflow.figures import sheets

    monkeypatch.setattr(sheets, "MAX_FRAMES", 20)
    figure = track_figure(music / "jazz" / "b.wav", SETTINGS)
    (mesh,) = [m for m in figure.axes[2].collections if m.get_array() is not None][:1]
    assert np.asarray(mesh.get_array()).shape[1] <= 20
    assert figure.axes[2].get_xlim() == (0, 2)


def test_what_cannot_be_drawn_is_named(tmp_path):
    (tmp_path / "x.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"x\.wav is empty$"):
        track_figure(tmp_path / "x.wav", SETTINGS)
