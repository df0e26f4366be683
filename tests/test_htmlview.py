"""Static HTML: whatever names hold, only our own tags appear."""

from __future__ import annotations

import math
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbtrack import htmlview
from nbtrack.htmlview import STATUS, Row

TAGS = {"a", "table", "thead", "tbody", "tr", "th", "td", "span", "div", "br", "wbr"}
ATTRIBUTES = {"style", "title", "id", "href"}
VOID = {"br", "wbr"}
hostile = st.lists(
    st.sampled_from("<>&\"'/=!-`\n\0 \u202escriptonload") | st.characters(), max_size=30
).map("".join)


class Checker(HTMLParser):
    """Collects the text, and what is not among the expected tags and attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.wrong: list[Any] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.titles: list[str] = []
        self.styles: set[str] = set()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.wrong.append(tag)
        for name, value in attrs:
            if name not in ATTRIBUTES:
                self.wrong.append(name)
            elif name == "title":
                self.titles.append(value or "")
            elif name == "href":
                self.targets.append(value or "")
            elif name == "style":
                self.styles.add(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"comment {data}")

    def handle_decl(self, decl: str) -> None:
        self.wrong.append(f"declaration {decl}")

    def handle_pi(self, data: str) -> None:
        self.wrong.append(f"instruction {data}")


def check(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.wrong == []
    assert checker.open == []
    for style in checker.styles:
        assert "url(" not in style
        assert "expression" not in style
    return checker


@given(text=hostile, status=st.one_of(st.sampled_from(["FINISHED", "RUNNING"]), hostile))
@example(text="<script>alert(1)</script>", status="<img src=x onerror=alert(1)>")
@example(text='" onmouseover="alert(1)', status="' onload='x")
@example(text="<!-- ", status="-->")
@example(text="&lt;b&gt;", status="</td></table>")
def test_names_stay_names(text: str, status: str) -> None:
    # No style is made of what users named.
    assert show(text, status) <= set().union(*(show("x", word) for word in [*STATUS, "odd"]))


def show(text: str, status: str) -> set[str]:
    """Show a name everywhere, check the HTML and return its styles."""
    row = Row(text, text, status, 5, {text: 1.0}, {text: text}, note=text)
    tables = [
        htmlview.runs_table(
            [row, Row("", "x", "FINISHED", None)], metric_keys=[text], param_keys=[text]
        ),
        htmlview.plain_table([[text, text]], [text, text]),
    ]
    checked = [check(htmlview.panel(text, table, footer=text)) for table in tables]
    return checked[0].styles | checked[1].styles


@given(text=hostile)
def test_text_is_shown_literally(text: str) -> None:
    checker = check(f"<div>{htmlview.escape(text)}</div>")
    shown = "".join(checker.texts)
    assert shown.replace("\ufffd", "\0") == " ".join(text.split()).replace("\ufffd", "\0")
    check(htmlview.message(text))
    checker = check(htmlview.notice(text, "warning"))
    assert "".join(checker.texts).split()[0] == "⚠"


@given(text=hostile, name=hostile)
def test_a_link_leads_into_the_page_alone(text: str, name: str) -> None:
    link = (name, f"#{htmlview.anchor(name)}")
    checker = check(htmlview.notice(f"{text} {name}", link=link))
    assert all(target.startswith("#nbtrack-") for target in checker.targets)
    assert len(checker.targets) == bool(name.split())


def test_a_table_of_runs() -> None:
    rows = [
        Row("id1", "first", "FINISHED", 1500, {"m": 0.97333}, {"p": "long" * 50}, note="best"),
        Row("id2", "second", "FAILED", None),
    ]
    checker = check(htmlview.runs_table(rows, metric_keys=["m"], param_keys=["p"]))
    text = "|".join(checker.texts)
    for word in ("Run", "Duration", "first", "1.5 s", "0.9733", "best", "second", "failed"):
        assert word in text
    assert checker.texts.count("–") == 2
    assert "long" * 50 in checker.titles
    assert "0.97333" in checker.titles
    assert "finished" not in text


def test_many_lines_of_message() -> None:
    checker = check(htmlview.message("What happened.\nhint: <do> this"))
    assert checker.texts == ["What happened.", "hint: <do> this"]


@given(cells=st.lists(st.tuples(hostile, hostile), max_size=4), header=st.tuples(hostile, hostile))
@example(cells=[], header=("\x1b[31mred", "\a"))
@example(cells=[("\x1b]0;title\a", "a\nb")], header=("a", "b"))
def test_nothing_steers_the_terminal(cells: list[tuple[str, str]], header: tuple[str, str]) -> None:
    text = htmlview.text_table(cells, header)
    lines = text.split("\n")
    assert len(lines) == len(cells) + 1
    assert all(line.isprintable() for line in lines)


def test_columns_of_text() -> None:
    text = htmlview.text_table([["a", 1], ["long name", "x" * 50]], ["name", "n"])
    assert text.splitlines() == [
        "name       n",
        "a          1",
        f"long name  {'x' * 39}…",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (0.0, "0"),
        (1234.5, "1234"),
        (1e6, "1e+06"),
        (-0.00012345, "-0.0001234"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert htmlview.format_number(value) == text


@given(value=st.floats())
def test_no_number_is_long(value: float) -> None:
    assert len(htmlview.format_number(value)) <= 12


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, ""),
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (60_000, "1 min 0 s"),
        (3_600_000, "1 h 0 min"),
        (90_000_000, "25 h 0 min"),
    ],
)
def test_durations(ms: int | None, text: str) -> None:
    assert htmlview.format_duration(ms) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (2**40, "1.0 TB"), (2**60, "1048576.0 TB")],
)
def test_sizes(size: int, text: str) -> None:
    assert htmlview.format_size(size) == text
