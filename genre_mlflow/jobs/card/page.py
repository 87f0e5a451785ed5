"""The card as a page in one file: readable in light and dark, on a phone, without a network."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from html.parser import HTMLParser
from string import Template
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

DASHES = "---\n"
STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --line: #d5d8dc; --shade: #f4f5f7;
  --link: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6e9; --paper: #16181b; --line: #3a3f45;
  --shade: #22262b; --link: #8ab4f8; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.9rem; line-height: 1.2; }
h2 { font-size: 1.35rem; margin-top: 2.4rem; padding-bottom: .25rem;
  border-bottom: 1px solid var(--line); }
h3 { font-size: 1.1rem; margin-top: 1.8rem; }
a { color: var(--link); }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left; }
th { background: var(--shade); }
td { white-space: nowrap; }
td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 7rem; max-width: 14rem; }
code { background: var(--shade); padding: .1em .3em; border-radius: 4px; font-size: .9em; }
pre { background: var(--shade); padding: .8rem 1rem; border-radius: 6px; overflow-x: auto;
  white-space: pre-wrap; }
pre code { padding: 0; background: none; }
img { max-width: 100%; height: auto; border-radius: 6px; background: #fff; }
"""
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
$body</main>
</body>
</html>
""")


def page(card: str, title: str, pictures: Mapping[str, bytes]) -> str:
    """The card's Markdown as a page that needs no other file.

    `pictures`: PNGs by their addresses in the Markdown; one that is not there leaves its words.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    for rule, tag in (
        ("table_open", '<div class="wide"><table>'),
        ("table_close", "</table></div>"),
    ):
        markdown.add_render_rule(rule, always(f"{tag}\n"))
    tokens = markdown.parse(without_metadata(card))
    for token in inline(tokens):
        if token.type == "image":
            embed(token, pictures)
    body = markdown.renderer.render(tokens, markdown.options, {})
    return PAGE.substitute(title=escape(title), style=STYLE, body=body)


def always(text: str) -> Any:
    """A rule of the renderer that gives this text."""

    def rule(*_: object) -> str:
        return text

    return rule


def without_metadata(card: str) -> str:
    """The Markdown below the metadata."""
    if not card.startswith(DASHES):
        return card
    return card.removeprefix(DASHES).partition(f"\n{DASHES}")[2]


def inline(tokens: Sequence[Token]) -> Iterator[Token]:
    """What stands within lines."""
    for token in tokens:
        yield from token.children or ()


def embed(token: Token, pictures: Mapping[str, bytes]) -> None:
    """Put the picture itself in the place of its address, or its words where it is not there."""
    found = pictures.get(str(token.attrs["src"]))
    if found is None:
        token.type, token.tag, token.nesting = "text", "", 0
    else:
        token.attrs["src"] = f"data:image/png;base64,{base64.b64encode(found).decode('ascii')}"


class Words(HTMLParser):
    """Collects the words of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        """Words between tags."""
        self.found += data.split()


def words_of(text: str) -> list[str]:
    """The words of a page, without its markup and pictures."""
    reader = Words()
    reader.feed(text)
    return reader.found
