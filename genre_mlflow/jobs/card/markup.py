"""Markdown made of words that may look like markup themselves."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, unquote

from genre_mlflow.files.names import escaped

SPECIAL = re.compile(r"[\\`*\[\]<>|&~$]|(?<![^\W_])_|_(?![^\W_])")  # `_` within a word is none

PICTURE = re.compile(r"^!\[.*\]\((\S+)\)$", re.MULTILINE)


def plain(text: str) -> str:
    """Words that mean nothing but themselves, within a line or a cell."""
    return SPECIAL.sub(r"\\\g<0>", escaped(text))


def code(text: str) -> str:
    """Words as they are, between backticks; not for a table."""
    text = escaped(text)
    fence = fence_of(text, 1)
    pad = " " if not text.strip() or {text[0], text[-1]} & {"`", " "} else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def block(text: str, language: str) -> list[str]:
    """Lines as they are, such as a command."""
    text = escaped(text, keep="\n")
    fence = fence_of(text, 3)
    return [f"{fence}{language}", text, fence]


def fence_of(text: str, least: int) -> str:
    """More backticks than stand together in a text, and at least so many."""
    return "`" * max(least, 1 + max((len(run) for run in re.findall("`+", text)), default=0))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a pipe table; the cells are Markdown."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def picture(path: str, words: str) -> str:
    """A picture among the run's artifacts, with what it shows in words."""
    return f"![{words}]({quote(path)})"


def pictures_in(card: str) -> dict[str, str]:
    """The paths of the pictures of a card, by their addresses in it."""
    return {address: unquote(address) for address in PICTURE.findall(card)}
