"""Names are words, whatever they look like."""

from html import escape

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from genre_mlflow.files.names import escaped
from genre_mlflow.jobs.card.markup import block, code, plain, table

MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
MARKUP = st.text(st.sampled_from("ab_*`[]()<>|&;#!~$\\\n -.1é"), min_size=1)
TEXTS = (MARKUP | st.text(min_size=1)).filter(lambda text: text == text.strip())


def shown(text: str) -> str:
    return escape(escaped(text), quote=True).replace("&#x27;", "'")


@given(TEXTS)
def test_plain_words_are_shown_as_they_are(text: str) -> None:
    assert MARKDOWN.renderInline(plain(text)) == shown(text)


@given(TEXTS)
def test_code_is_shown_as_it_is(text: str) -> None:
    assert MARKDOWN.renderInline(code(text)) == f"<code>{shown(text)}</code>"


@given(TEXTS)
def test_a_cell_is_one_cell(text: str) -> None:
    page = MARKDOWN.render("\n".join(table(("a", "b"), [(plain(text), "x")])))
    assert f"<td>{shown(text)}</td>\n<td>x</td>" in page


@given(TEXTS)
def test_a_block_ends_where_it_should(text: str) -> None:
    page = MARKDOWN.render("\n".join([*block(text, "sh"), "", "after"]))
    assert page.endswith("</code></pre>\n<p>after</p>\n")


def test_a_name_with_underscores_is_left_legible() -> None:
    assert plain("hip_hop") == "hip_hop"
    assert plain("_hip_") == r"\_hip\_"
