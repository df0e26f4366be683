"""Text for a terminal: as wide as it is, and moving no cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.cli.tables import clean, columns, cut, lay_out

_CELLS = st.lists(st.lists(st.text(max_size=30), min_size=3, max_size=3), max_size=6)


@given(_CELLS, st.integers(8, 60))
def test_no_line_is_wider_than_the_terminal(rows: list[list[str]], width: int) -> None:
    lines = lay_out(rows, ["one", "two", "three"], width)
    assert len(lines) == len(rows) + 1
    for line in lines:
        assert columns(line) <= width
        assert line.isprintable()


@given(_CELLS)
def test_without_a_width_nothing_is_lost(rows: list[list[str]]) -> None:
    for line, row in zip(lay_out(rows, ["", "", ""], None)[1:], rows, strict=True):
        for cell in row:
            assert clean(cell).strip() in line


@given(st.text(), st.integers(1, 40))
def test_what_is_cut_says_so(text: str, width: int) -> None:
    shown = cut(clean(text), width)
    assert columns(shown) <= width
    assert (shown == clean(text)) == (columns(clean(text)) <= width) or shown.endswith("…")


def test_columns_stand_below_each_other() -> None:
    lines = lay_out([["日本", "a"], ["e\N{COMBINING ACUTE ACCENT}", "b"]], ["x", "y"], None)
    assert {columns(line[: line.index(end)]) for line, end in zip(lines, "yab", strict=True)} == {6}


def test_the_widest_column_gives_way() -> None:
    (_, line) = lay_out([["abcdefgh", "x" * 50]], ["id", "name"], 20)
    assert line == f"abcdefgh  {'x' * 9}…"


@pytest.mark.parametrize(
    "letter", ["\x1b", "\n", "\t", "\x7f", "\x9b", "\u202e", "\u2028", "\udc80"]
)
def test_what_steers_is_replaced(letter: str) -> None:
    assert clean(f"a{letter}b") == "a\ufffdb"
