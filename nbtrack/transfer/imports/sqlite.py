"""Two kinds of connections: to the database of another tool, and to one that is nobody's.

What comes is first a small database of its own, with nbtrack's tables: from there it goes where it
belongs by the rules by which any other file is merged. It has no name, and lives in memory until
that is too much.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nbtrack.db import storable, translated
from nbtrack.errors import StoreError
from nbtrack.migrations import migrate

_CACHE_KB = 32_768
_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}


class Database:
    """The SQLite file of another tool: read as it is at one moment, and never written.

    Parameters
    ----------
    path
        Where it is.

    Raises
    ------
    StoreError
        It is no SQLite file, is damaged, or is locked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._had_log = self._log.exists()
        self._conn = _open(path)

    @property
    def tables(self) -> dict[str, set[str]]:
        """The columns of each table; views are none."""
        found = self.rows(
            "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c"
            " WHERE m.type = 'table'"
        )
        tables: dict[str, set[str]] = {}
        for table, column in found:
            tables.setdefault(table, set()).add(column)
        return tables

    def rows(self, sql: str, args: Sequence[Any] = ()) -> Iterator[Any]:
        """Yield the rows of a query, one after the other.

        Raises
        ------
        StoreError
            The file cannot be read.
        """
        with translated(self.path):
            yield from self._conn.execute(sql, args)

    def parts(self, sql: str, args: Sequence[Any], sizes: Iterable[int]) -> Iterator[list[Any]]:
        """Yield the rows of a query, each time as many as it says."""
        with translated(self.path):
            cursor = self._conn.execute(sql, args)
            for size in sizes:
                yield cursor.fetchmany(size)

    def run(self, sql: str) -> None:
        """Make something that goes with the connection: a temporary table."""
        with translated(self.path):
            self._conn.execute(sql)

    def close(self) -> None:
        """Let the file go; a log that was made for reading it goes, too."""
        self._conn.close()
        if self._log.exists() and not self._had_log:
            # Who may write, and writes nothing, and is the last one, takes the empty log away.
            with contextlib.suppress(sqlite3.Error), closing(_connect(self.path, "rw")) as conn:
                conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    name = quote(os.fsencode(path))
    return sqlite3.connect(
        f"file:{name}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )


def _open(path: Path) -> sqlite3.Connection:
    options = [""]
    if not any(path.with_name(f"{path.name}{end}").exists() for end in ("-wal", "-journal")):
        # Read-only media, where nobody writes, have no room for a log's index.
        options.append("&immutable=1")
    for option in options:
        conn = _connect(path, f"ro{option}")
        try:
            conn.execute("PRAGMA trusted_schema = OFF")  # it may call nothing but plain functions
            conn.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
            conn.text_factory = lambda data: storable(data.decode("utf-8", "replace"))
            conn.execute("BEGIN")
            conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.DatabaseError as error:
            conn.close()
            trouble = error
            if error.sqlite_errorcode & 0xFF not in _UNWRITABLE:
                break
        else:
            return conn
    raise StoreError(
        f"The database {path} cannot be read: {trouble}.",
        hint="Name MLflow's SQLite file; close the program that writes to it, if it is locked.",
    ) from trouble


def is_database(path: Path, tables: set[str]) -> bool:
    """Return whether a file is an SQLite database that has some tables."""
    try:
        with closing(Database(path)) as found:
            return tables <= found.tables.keys()
    except StoreError:
        return False


class Staging:
    """An empty database with nbtrack's tables that others are made from."""

    def __init__(self) -> None:
        self.conn = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.conn)
        triggers = self.conn.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall()
        for (name,) in triggers:  # for tables of a file that is read
            self.conn.execute(f'DROP TRIGGER "{name}"')
        self.conn.execute("DELETE FROM experiments")

    @contextmanager
    def another(self) -> Iterator[sqlite3.Connection]:
        """Lend a database like this one, which is gone afterwards."""
        # Without a name it is a file that nobody sees, as soon as the cache does not hold it.
        with closing(sqlite3.connect("", isolation_level=None, check_same_thread=False)) as conn:
            self.conn.backup(conn)
            conn.row_factory = sqlite3.Row
            conn.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
            yield conn

    def close(self) -> None:
        """Let it go."""
        self.conn.close()
