"""Rows of CSV files, one after the other, each with its line; and what their cells say."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from nbtrack.errors import InvalidParameterError
from nbtrack.transfer.checks import LAST_MS

_DELIMITERS = ",;\t"
_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf(?:inity)?)",
    re.IGNORECASE | re.ASCII,
)
_NOT_UTF8 = re.compile("[\ud800-\udfff]")
_NO_VALUE = {"", "-", "na", "n/a", "none", "null"}
_SECONDS = 1e11  # a time below is in seconds: as milliseconds it would be before 1974
_TOLD = 20  # lines that are told of a file
_FIRST = 2**20  # most characters of the first row that are looked at for what parts cells


class Rows:
    """A CSV file whose first row has the names of the columns.

    Cells are parted by what parts the most of the first row: comma, semicolon or tab. Where that is
    no comma, ``0,5`` is a number, too. The text is UTF-8, with or without a byte order mark. A row
    that cannot be read is told with its line, and does not keep the others away.

    Parameters
    ----------
    path
        The file.
    problems
        Where it is told.

    Raises
    ------
    InvalidParameterError
        The file has no first row, or is text of another kind.
    """

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        self._problems = problems
        self._told = 0
        with path.open("rb") as file:
            head = file.read(2)
        if head in (b"\xff\xfe", b"\xfe\xff"):
            raise InvalidParameterError(
                f"The file {path} is UTF-16; it has to be UTF-8.",
                hint=f"iconv -f UTF-16 -t UTF-8 {path.name} > utf8.csv",
            )
        with self._lines() as text:
            first = text.readline(_FIRST)
        self.delimiter = max(_DELIMITERS, key=first.count)
        _, names, fault = next(self._read(), (0, [], None))
        if fault or not any(names):
            raise InvalidParameterError(
                f"The file {path} has no first row with names of columns"
                f"{f': {fault}' if fault else ''}.",
                hint="Import a CSV file with a header.",
            )
        self.columns: dict[str, int] = {}
        for place, name in enumerate(names):
            if self.columns.setdefault(name, place) != place:
                problems.append(f"{path}: of the columns {name!r} only the first one was read.")
        self._width = len(names)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of the line on which each row ends, and its cells."""
        rows = self._read()
        next(rows)
        for line, row, fault in rows:
            if fault is not None:
                self.tell(line, f"it was left out, because {fault}")
            elif len(row) == self._width:
                yield line, row
            elif row:
                self.tell(line, f"it was left out, because it has {len(row)} cells")

    def tell(self, line: int, what: str) -> None:
        """Tell what is wrong with a line, if it is one of the first of these."""
        self._told += 1
        if self._told <= _TOLD:
            self._problems.append(f"{self.path}, line {line}: {what}.")

    def finish(self) -> None:
        """Tell how many more lines there were."""
        if self._told > _TOLD:
            self._problems.append(
                f"{self.path}: with {self._told - _TOLD} more cells or lines something is wrong."
            )

    def number(self, text: str) -> float | None:
        """Return the number that a cell has; None if it has none."""
        text = text.strip()
        if self.delimiter != "," and text.count(",") == 1 and "." not in text:
            text = text.replace(",", ".")
        return float(text) if _NUMBER.fullmatch(text) else None

    def _lines(self) -> TextIO:
        return self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")

    def _read(self) -> Iterator[tuple[int, list[str], str | None]]:
        """Yield the line, the cells, and what is wrong with each row."""
        with self._lines() as text:
            reader = csv.reader(text, delimiter=self.delimiter)
            while True:
                fault, row = None, []
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    fault = str(error)
                if any(not cell.isascii() and _NOT_UTF8.search(cell) for cell in row):
                    fault = "it is not UTF-8"
                yield reader.line_num, row, fault


def is_missing(text: str) -> bool:
    """Return whether a cell stands for no value.

    Examples
    --------
    >>> [is_missing(text) for text in ("", " N/A ", "nan", "0")]
    [True, True, False, False]
    """
    return text.strip().lower() in _NO_VALUE


def time_of(text: str) -> int | None:
    """Return a time in ms: a date, or seconds or milliseconds since 1970; None if it is none.

    Examples
    --------
    >>> time_of("2023-11-14 22:13:20+00:00"), time_of("1700000000.5"), time_of("1700000000500")
    (1700000000000, 1700000000500, 1700000000500)
    >>> time_of("yesterday")
    """
    text = text.strip()
    try:
        if _NUMBER.fullmatch(text):
            number = float(text)
            ms = number if abs(number) >= _SECONDS else number * 1000
        else:
            found = datetime.fromisoformat(text)
            ms = found.replace(tzinfo=found.tzinfo or UTC).timestamp() * 1000
    except (ValueError, OverflowError):
        return None
    return round(ms) if math.isfinite(ms) and 0 <= ms <= LAST_MS else None
