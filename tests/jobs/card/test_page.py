"""The page needs no other file, and shows names as they are."""

import base64
from html.parser import HTMLParser

import pytest

from genre_mlflow.jobs.card.card import model_card
from genre_mlflow.jobs.card.markup import pictures_in
from genre_mlflow.jobs.card.page import page, words_of

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
UGLY = ("<script>alert(1)</script>", "![x](http://evil.example/x.png)", "a|b **c** `d` <img src=x>",
        "[y](javascript:alert(2))", "&lt;b&gt; $z$", "- # 1. \n>")  # fmt: skip


class Tags(HTMLParser):
    """Collects tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def text(make_facts) -> str:
    facts = make_facts(UGLY, explanations=["explanations/<b> 50%.png"])
    card = model_card(facts)
    return page(card, UGLY[0], dict.fromkeys(pictures_in(card), PNG))


def test_names_are_never_markup(text: str) -> None:
    tags = Tags(text).found
    assert {tag for tag, _ in tags} <= {
        "html", "head", "meta", "title", "style", "body", "main", "div", "h1", "h2", "h3", "p",
        "table", "thead", "tbody", "tr", "th", "td", "strong", "code", "pre", "ul", "li", "img",
    }  # fmt: skip
    assert not [attrs for _, attrs in tags if "href" in attrs or "onerror" in attrs]
    shown = " ".join(words_of(text))
    for name in UGLY:
        assert " ".join(name.replace("\n", "\\n").split()) in shown
    strong = [text.partition("</strong>")[0] for text in text.split("<strong>")[1:]]
    assert len(strong) == 1 and strong[0].startswith("A small test set: fewer than 10 tracks")


def test_the_page_needs_no_other_file(text: str) -> None:
    sources = [attrs["src"] for _, attrs in Tags(text).found if "src" in attrs]
    assert len(sources) == 4
    assert set(sources) == {f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}
    assert "default-src 'none'; img-src data:" in text
    assert "url(" not in text and "@import" not in text and "<link" not in text


def test_every_table_can_be_pushed_aside_on_a_narrow_screen(text: str) -> None:
    assert text.count('<div class="wide"><table>') == text.count("<table>") >= 4
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in text
    assert "prefers-color-scheme: dark" in text


def test_metadata_is_not_shown(text: str) -> None:
    assert "pipeline_tag" not in text and "audio-classification" not in text


def test_a_picture_that_is_gone_leaves_its_words() -> None:
    text = page("![what it shows](a.png)", "t", {})
    assert "<p>what it shows</p>" in text and "<img" not in text
