"""The file as tables for SQL, read-only.

A query sees views, which stay as they are when the tables behind them change, and which leave out
what is in the trash. The tables themselves can be read as ``main.<table>``, at one's own risk.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from nbtrack import packing
from nbtrack.db import (
    Connection,
    DatabaseError,
    is_trouble,
    lent,
    storable,
    translate,
    translated,
)
from nbtrack.errors import IntegrityError, InvalidParameterError
from nbtrack.store.search import register
from nbtrack.store.view_list import VIEWS, describe_views

__all__ = ["VIEWS", "describe_views", "query"]


_NAMES = ", ".join(view.name for view in VIEWS)


def query(
    path: Path,
    sql: str,
    params: Sequence[Any] | Mapping[str, Any] = (),
    *,
    max_rows: int | None = None,
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return columns and rows of a query over the views: see `describe_views`.

    Parameters
    ----------
    path
        The database; it is opened for this query alone, and nothing can write to it.
    sql
        One SELECT. Besides SQLite's functions there are REGEXP, with Python's regular
        expressions, and ``ilike(pattern, text)``.
    params
        Values of its question marks, or of its ``:names``.
    max_rows
        Most rows to take; if there are more, it is an error and not a shorter answer.

    Raises
    ------
    InvalidParameterError
        The query is none, would write, or gives more rows than that.
    KeyboardInterrupt
        It was interrupted; this stops it wherever it is.
    NbtrackError
        The file cannot be read.
    """
    _check_sql(sql)
    with lent(path) as conn:
        with translated(path):
            prepared = _Query(conn, path, max_rows)
        return prepared.run(sql, _storable(params))


_READS = {"SELECT", "WITH", "VALUES", "EXPLAIN", "PRAGMA"}
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*(\w*)", re.DOTALL)
_HINT = f"Write one SELECT over the views: {_NAMES}."


def _check_sql(sql: str) -> None:
    if not isinstance(sql, str):
        raise InvalidParameterError(f"The query is {sql!r}, and must be a text.", hint=_HINT)
    if storable(sql) != sql:
        raise InvalidParameterError(
            f"The query {_shown(sql)} has a character in it that is never stored.", hint=_HINT
        )
    first = _FIRST_WORD.match(sql)
    if first is None or first[1].upper() not in _READS:
        raise InvalidParameterError(f"The query {_shown(sql)} does not only read.", hint=_HINT)


def _storable(params: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any] | Mapping[str, Any]:
    def one(value: Any) -> Any:
        return storable(value) if isinstance(value, str) else value

    if isinstance(params, Mapping):
        return {name: one(value) for name, value in params.items()}
    if isinstance(params, str | bytes):
        raise InvalidParameterError(
            f"The params are {params!r}, and must be a list or a dict.", hint="Write [value]."
        )
    return tuple(one(value) for value in params)


def _shown(sql: str) -> str:
    text = " ".join(storable(sql).split())
    return repr(text if len(text) <= 60 else text[:60] + "…")  # noqa: PLR2004


class _Query:
    """A query on a connection of its own."""

    _BATCH = 1_000  # rows
    _OPERATIONS = 20_000  # of SQLite's machine between two looks for Ctrl-C: about a millisecond

    def __init__(self, conn: Connection, path: Path, max_rows: int | None) -> None:
        self.conn = conn
        self.path = path
        self.max_rows = max_rows
        self.cause: BaseException | None = None
        conn.row_factory = None
        register(conn)
        conn.create_function("nbtrack_points", 1, self._kept(_points), deterministic=True)
        for view in VIEWS:
            conn.execute(view.sql)
        conn.set_authorizer(_authorize)
        # SQLite calls Python every so often, and Python then sees that Ctrl-C was pressed.
        conn.set_progress_handler(self._kept(_go_on), self._OPERATIONS)

    def _kept(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that keeps what it raises: SQLite only says that something was."""

        def keeping(*args: Any) -> Any:
            try:
                return function(*args)
            except BaseException as error:
                self.cause = error
                raise

        return keeping

    def run(
        self, sql: str, params: Sequence[Any] | Mapping[str, Any]
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        rows: list[tuple[Any, ...]] = []
        try:
            cursor = self.conn.execute(sql, params)
            while batch := cursor.fetchmany(self._BATCH):
                rows += batch
                if self.max_rows is not None and len(rows) > self.max_rows:
                    raise InvalidParameterError(
                        f"The query {_shown(sql)} gives more than {self.max_rows:,} rows.",
                        hint="Add a LIMIT, or group the rows.",
                    )
        except DatabaseError as error:
            self._fail(error, sql)
        except (self.conn.Warning, OverflowError, TypeError, ValueError) as error:
            # several statements; a number of more than 64 bits; params of a wrong kind
            if isinstance(error, InvalidParameterError):
                raise
            self._refuse(error, sql)
        if cursor.description is None:
            raise InvalidParameterError(f"The query {_shown(sql)} gives no table.", hint=_HINT)
        return [column[0] for column in cursor.description], rows

    def _fail(self, error: DatabaseError, sql: str) -> NoReturn:
        code = getattr(error, "sqlite_errorcode", None)
        if isinstance(self.cause, KeyboardInterrupt | IntegrityError):
            raise self.cause from None
        if code == _INTERRUPTED:  # Ctrl-C as `keeping` was being called
            raise KeyboardInterrupt from None
        if code == _AUTH:
            raise InvalidParameterError(
                f"The query {_shown(sql)} does not only read.", hint=_HINT
            ) from error
        if is_trouble(error):
            raise translate(error, self.path) from error
        self._refuse(error, sql)

    def _refuse(self, error: BaseException, sql: str) -> NoReturn:
        raise InvalidParameterError(
            f"The query {_shown(sql)} cannot be run: {str(error).rstrip('.')}.", hint=_HINT
        ) from error


def _go_on() -> int:
    return 0


# Numbers of SQLite's; only db.py imports sqlite3.
_OK, _DENY = 0, 1
_INTERRUPTED, _AUTH = 9, 23
_PRAGMA, _READ, _SELECT, _UPDATE, _FUNCTION, _RECURSIVE = 19, 20, 21, 23, 31, 33
_PRAGMAS = {"table_info", "table_xinfo", "table_list", "function_list", "compile_options"}
_FUNCTIONS = {"load_extension", "fts3_tokenizer"}


def _authorize(
    action: int, name: str | None, column: str | None, _schema: str | None, _source: str | None
) -> int:
    """Allow what reads: SQLite asks while it compiles a statement."""
    if action in (_READ, _SELECT, _RECURSIVE):
        return _OK
    if action == _FUNCTION:
        return _DENY if column in _FUNCTIONS else _OK
    if action == _PRAGMA:
        return _OK if name in _PRAGMAS else _DENY
    # What json_each and its like say when they are first used; nothing is written by it.
    return _OK if (action, name) == (_UPDATE, "sqlite_master") else _DENY


def _points(chunk: bytes) -> str:
    """Return the points of a chunk as JSON: [[step, timestamp, value], ...]."""
    steps, timestamps, values = packing.decode(chunk)
    points = [
        (step, timestamp, None if math.isnan(value) else value)
        for step, timestamp, value in zip(steps, timestamps, values, strict=True)
    ]
    # Python writes Infinity; JSON has no word for it, but a number that is too large is read so.
    return json.dumps(points, separators=(",", ":")).replace("Infinity", "9e999")
