"""Text for a terminal: clean, and cut to its width."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence

_GAP = 2  # between two columns
_NARROW = 6  # no column is made narrower
_LONG = 200  # where nothing has a width: what is longer is to be read as JSON


def clean(text: str) -> str:
    r"""Return text that moves no cursor, on one line: names come from anywhere.

    Examples
    --------
    >>> clean("a\x1b[2Jb\n") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}"
    True
    """
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def columns(text: str) -> int:
    """Return how many columns of a terminal a clean text takes.

    Examples
    --------
    >>> columns("abc"), columns("日本"), columns("e\N{COMBINING ACUTE ACCENT}")
    (3, 4, 1)
    """
    return sum(map(_columns, text))


def cut(text: str, width: int) -> str:
    """Return the beginning of a text that has no room.

    Examples
    --------
    >>> cut("abcdef", 4), cut("日本語", 5), cut("abc", 3)
    ('abc…', '日本…', 'abc')
    """
    if columns(text) <= width:
        return text
    kept, used = [], 1
    for letter in text:
        used += _columns(letter)
        if used > width:
            break
        kept.append(letter)
    return "".join(kept) + "…"


def room() -> int | None:
    """Return how wide the terminal is; None if the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def lay_out(
    rows: Iterable[Sequence[object]], header: Sequence[str], width: int | None
) -> list[str]:
    r"""Return the lines of a table, none of them wider than that.

    The widest columns give way first. Without a width, columns are as wide as what they hold.

    Examples
    --------
    >>> print("\n".join(lay_out([["1", "a long name"], ["12", "x"]], ["id", "name"], 12)))
    id  name
    1   a long …
    12  x
    """
    lines = [[cut(clean(str(cell)), _LONG) for cell in row] for row in (header, *rows)]
    widths = [max(map(columns, column)) for column in zip(*lines, strict=True)]
    if width is not None:
        spare = width - _GAP * (len(widths) - 1)
        while sum(widths) > spare and max(widths) > _NARROW:
            widths[widths.index(max(widths))] -= 1
    laid = ["".join(map(_padded, line, widths)).rstrip() for line in lines]
    return laid if width is None else [cut(text, width) for text in laid]


def _padded(cell: str, width: int) -> str:
    shown = cut(cell, width)
    return shown + " " * (width - columns(shown) + _GAP)


def _columns(letter: str) -> int:
    if unicodedata.category(letter) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
