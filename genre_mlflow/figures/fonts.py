"""Names in figures: a font that has their letters, or the numbers of letters that none has.

Text is drawn from right to left, and its letters joined, where matplotlib does so itself (from
3.11 on).
"""

import logging
import re
import unicodedata
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

from matplotlib.figure import Figure
from matplotlib.font_manager import (
    FontProperties,
    findfont,
    findSystemFonts,
    fontManager,
    weight_dict,
)
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from genre_mlflow.files.names import escaped

logger = logging.getLogger(__name__)

WEIGHTS = ("normal", "bold")  # that our figures have
NORMAL = weight_dict["normal"]
# Fonts of formulas, whose letters stand at other numbers, and of nothing but boxes.
NO_LETTERS = re.compile(r"cm[a-z]+10|\.?last ?resort.*", re.IGNORECASE)
UNSEEN = "\u200d\ufe0e\ufe0f"  # these join emoji and choose their colours
DOTS = "..."
SAID: list[str] = []  # the name that this process has warned of
OURS: list[str] = []  # families that this process has made of single files

Font = Any  # an entry of matplotlib's list of fonts


def legible(name: str, columns: int = 1000) -> str:
    """A name as it can be drawn: in one line, with numbers for letters that no font has.

    One that is longer than `columns` ends in three dots.
    """
    text = name.encode(errors="surrogateescape").decode(errors="backslashreplace")  # any bytes
    seen = "".join(" " if unicodedata.category(c) == "Zs" else c for c in text if c not in UNSEEN)
    shown = escaped(seen)
    drawn = "".join(number(c) if family_of(c) is None else c for c in shown)
    if drawn != shown:
        say_once(shown, drawn)
    return clip(drawn, columns)


def number(letter: str) -> str:
    """A letter as its number."""
    return letter.encode("unicode_escape").decode("ascii")


def say_once(shown: str, drawn: str) -> None:
    """Say of the first name that cannot be drawn what becomes of it, and what helps."""
    if not SAID:
        SAID.append(shown)
        logger.warning(
            "figures show %s as %s: no font on this machine has these letters; install one that "
            "has, such as Noto", shown, drawn,
        )  # fmt: skip


def clip(text: str, columns: int) -> str:
    """The text, or its beginning and three dots."""
    if width(text) <= columns:
        return text
    kept = text[: columns - len(DOTS)]
    while width(kept) > columns - len(DOTS):
        kept = kept[:-1]
    return kept + DOTS


def width(text: str) -> int:
    """How many columns text takes: letters of East Asia take two, accents none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.category(c) == "Mn" for c in text)


def use_fonts(figure: Figure) -> None:
    """Give the texts of a figure the fonts that their letters need, behind the one they have."""
    texts = figure.findobj(Text)
    letters = {letter for text in texts for letter in text.get_text() if letter != "\n"}
    families = sorted({family for letter in letters if (family := family_of(letter))})
    for text in texts if families else []:
        own = [family for family in text.get_fontfamily() if family not in families]
        text.set_fontfamily([*own, *families])


@cache
def family_of(letter: str) -> str | None:
    """The family that has a letter: empty for the one that all text has, None where none has it."""
    if all(has_letter(findfont(FontProperties(weight=weight)), letter) for weight in WEIGHTS):
        return ""
    ours = [font for font in fontManager.ttflist if font.name in OURS]
    for font in (*ours, *installed()):
        if has_letter(font.fname, letter) and has_ink(font.fname, letter):
            family = family_for(font)
            if is_found(family):
                return family
    return None


def family_for(font: Font) -> str:
    """A family of this file alone, in every weight.

    By a font's own name matplotlib could take another file of that name, and would warn of a
    weight that it lacks.
    """
    name = str(font.name) if font.name in OURS else f"{font.name} of genre-mlflow"
    if name not in OURS:
        OURS.append(name)
        for weight in WEIGHTS:
            fontManager.ttflist.append(replace(font, name=name, style="normal", weight=weight))
    return name


def is_found(family: str) -> bool:
    """Whether matplotlib takes fonts of this machine; a variable of its own can forbid it."""
    try:
        findfont(FontProperties(family=[family]), fallback_to_default=False)
    except ValueError:
        return False
    return True


@cache
def installed() -> list[Font]:
    """A font of each family on this machine, those without serifs first.

    Also those that were installed after matplotlib has made its list, which it keeps.
    """
    known = {font.fname for font in fontManager.ttflist}
    for path in findSystemFonts():
        if path not in known:
            with suppress(Exception):  # of a damaged font any
                fontManager.addfont(path)
    plainest: dict[str, Font] = {}
    for font in sorted(fontManager.ttflist, key=plainness):
        is_first = getattr(font, "index", 0) == 0  # of several in one file, which share letters
        if is_first and font.size == "scalable" and not NO_LETTERS.fullmatch(font.name):
            plainest.setdefault(font.name, font)
    return sorted(plainest.values(), key=lambda font: ("sans" not in font.name.lower(), font.name))


def plainness(font: Font) -> tuple[bool, int, str]:
    """Sorts upright fonts of normal weight first."""
    weight = weight_dict.get(font.weight, font.weight)
    return font.style != "normal", abs(weight - NORMAL), font.fname


def has_letter(path: str, letter: str) -> bool:
    """Whether a font has a glyph for a letter."""
    return ord(letter) in letters_of(str(path))


@cache
def letters_of(path: str) -> frozenset[int]:
    """The numbers of the letters that a font has; none where it cannot be read."""
    with suppress(OSError, RuntimeError):
        return frozenset(FT2Font(path).get_charmap())
    return frozenset()


def has_ink(path: str, letter: str) -> bool:
    """Whether there is something to be seen of a letter; colour fonts hold pictures alone."""
    font = FT2Font(path)
    font.set_size(12, 72)
    return bool(font.load_char(ord(letter)).width)
