"""Names in any script are drawn with a font that has it, or as numbers, and never as boxes."""

import logging
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from click.testing import CliRunner
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager
from PIL import Image
from sounds import encode, tone

from genre_mlflow.cli.main import main
from genre_mlflow.figures import fonts
from genre_mlflow.figures.confusion import confusion_figure
from genre_mlflow.figures.fonts import legible, width
from genre_mlflow.figures.image import to_image

NIHON, ONGAKU = "\u65e5\u672c", "\u97f3\u697d"  # matplotlib's own fonts have none of these
EM = 1000  # units of a font


def forget() -> None:
    fonts.family_of.cache_clear()
    fonts.installed.cache_clear()
    fonts.SAID.clear()
    fonts.OURS.clear()


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """A machine that has matplotlib's own fonts alone."""
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: [])
    own = [f for f in fontManager.ttflist if f.fname.startswith(matplotlib.get_data_path())]
    monkeypatch.setattr(fontManager, "ttflist", own)
    forget()
    yield
    forget()


def make_font(path: Path, letters: str, *, empty: bool = False, weight: int = 400) -> Path:
    """A font whose letters are black squares, or nothing at all."""
    pen = TTGlyphPen(None)
    if not empty:
        pen.moveTo((0, 0))
        for corner in ((0, EM), (EM, EM), (EM, 0)):
            pen.lineTo(corner)
        pen.closePath()
    builder = FontBuilder(EM, isTTF=True)
    builder.setupGlyphOrder([".notdef", "letter"])
    builder.setupCharacterMap({ord(letter): "letter" for letter in letters})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "letter": pen.glyph()})
    builder.setupHorizontalMetrics({name: (EM, 0) for name in (".notdef", "letter")})
    builder.setupHorizontalHeader(ascent=EM, descent=0)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2(usWeightClass=weight, sTypoAscender=EM)
    builder.setupPost()
    builder.save(path)
    return path


def confusion(names):
    return confusion_figure(np.eye(len(names), dtype=int), names, "Test set")


def ink_of(figure, label) -> float:
    """How much of a label's box is black."""
    image = np.asarray(to_image(figure).convert("L"))
    box = label.get_window_extent()
    rows = slice(round(image.shape[0] - box.y1) + 2, round(image.shape[0] - box.y0) - 2)
    return float((image[rows, round(box.x0) + 2 : round(box.x1) - 2] < 100).mean())


@pytest.mark.parametrize("name", [
    "jazz", "R&B", "A$AP $oul_^{", "\u0420\u0443\u0441\u0441\u043a\u0430\u044f",
    "\u0645\u0648\u0633\u064a\u0642\u0649", "\u05e9\u05d9\u05e8\u05d9\u05dd", "\u00c6nima",
])  # fmt: skip
def test_what_the_usual_font_has_stays_as_it_is(name, caplog):
    assert legible(name) == name
    to_image(confusion([name, "rock"]))
    assert caplog.records == []


def test_letters_that_no_font_has_are_numbers_and_one_line_says_so(caplog):
    names = [f"{NIHON} rock", ONGAKU, "\U0001f3b7", "jazz"]
    figure = confusion(names)
    to_image(figure)
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert shown == [r"\u65e5\u672c rock", r"\u97f3\u697d", r"\U0001f3b7", "jazz"]
    assert caplog.messages == [
        f"figures show {NIHON} rock as \\u65e5\\u672c rock: no font on this machine has these "
        "letters; install one that has, such as Noto"
    ]


def test_a_font_that_has_the_letters_draws_them(tmp_path, caplog):
    fontManager.addfont(make_font(tmp_path / "Squares.ttf", NIHON))
    figure = confusion([NIHON, "jazz"])
    label, other = figure.axes[0].get_yticklabels()
    assert label.get_text() == NIHON
    assert ink_of(figure, label) > 0.8 > 0.6 > ink_of(figure, other)
    assert caplog.records == []


def test_each_letter_has_the_font_that_has_it(tmp_path, caplog):
    for name, letters in (("One", NIHON), ("Two", ONGAKU)):
        fontManager.addfont(make_font(tmp_path / f"{name}.ttf", letters))
    figure = confusion([NIHON + ONGAKU, "\u660e\u65e5"])
    label, other = figure.axes[0].get_yticklabels()
    assert (label.get_text(), other.get_text()) == (NIHON + ONGAKU, "\\u660e\u65e5")
    assert ink_of(figure, label) > 0.8
    assert len(caplog.records) == 1


def test_a_font_that_was_installed_since_matplotlib_looked_is_found(tmp_path, monkeypatch):
    new = [str(make_font(tmp_path / "New.ttf", NIHON)), str(tmp_path / "damaged.ttf")]
    (tmp_path / "damaged.ttf").write_bytes(b"no font")
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: new)
    assert legible(NIHON) == NIHON


def test_fonts_that_matplotlib_may_not_take_are_not_taken(tmp_path, monkeypatch):
    fontManager.addfont(make_font(tmp_path / "Squares.ttf", NIHON))
    monkeypatch.setenv("MPL_IGNORE_SYSTEM_FONTS", "1")
    to_image(confusion([NIHON, "jazz"]))
    assert legible(NIHON) == r"\u65e5\u672c"


def test_a_font_with_nothing_to_see_is_not_taken(tmp_path):
    fontManager.addfont(make_font(tmp_path / "Sans Nothing.ttf", NIHON, empty=True))
    assert legible(NIHON) == r"\u65e5\u672c"
    fontManager.addfont(make_font(tmp_path / "Zzz.ttf", NIHON))
    fonts.family_of.cache_clear()
    fonts.installed.cache_clear()
    assert legible(NIHON) == NIHON


@pytest.mark.parametrize("weight", [100, 400, 900])
def test_a_sheet_with_bold_names_warns_of_nothing_whatever_weights_there_are(
    tmp_path, caplog, weight
):
    fontManager.addfont(make_font(tmp_path / "Squares.ttf", NIHON, weight=weight))
    for genre, hz in ((f"{NIHON} $x_{{", 440), ("jazz", 880)):
        (tmp_path / "music" / genre).mkdir(parents=True)
        (tmp_path / "music" / genre / f"{NIHON}\n.wav").write_bytes(encode(tone(1.0, hz)))
    words = [str(tmp_path / "music"), "--out", str(tmp_path / "s.png"), "--segment-s", "1"]
    result = CliRunner().invoke(main, ["corpus", "show", *words], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.height > 100


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines\x1b[2J", r"two\nlines\x1b[2J"),
        ("\u202egnp", r"\u202egnp"),  # turns what follows round
        ("a\u3000b\u00a0c", "a b c"),
        ("\u2764\ufe0f", "\u2764"),
        ("caf\udce9", r"caf\xe9"),  # a name that is no UTF-8
    ],
)
def test_what_is_no_letter_is_drawn_as_a_number_or_a_blank(name, shown, caplog):
    assert legible(name) == shown
    assert caplog.records == []


@pytest.mark.parametrize(
    ("name", "columns", "shown"),
    [
        ("abcdef", 6, "abcdef"), ("abcdefg", 6, "abc..."), (NIHON * 3, 12, NIHON * 3),
        (NIHON * 3, 11, NIHON * 2 + "..."), (NIHON * 3, 10, NIHON + "\u65e5..."),
        ("e\u0301" * 6, 6, "e\u0301" * 6),
    ],
)  # fmt: skip
def test_a_long_name_is_cut_by_its_columns(tmp_path, name, columns, shown):
    fontManager.addfont(make_font(tmp_path / "Squares.ttf", NIHON))
    assert legible(name, columns) == shown
    assert width(shown) <= columns
