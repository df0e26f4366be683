"""The file that runs come from: read, and never written.

A file of an older schema, and one beside which a killed process left its journal, is copied first,
by SQLite's own means; the copy is brought up to date. What the file says is not believed: texts
are made such that SQLite can hold them, and what does not fit the tables here is refused there.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nbtrack.artifacts import places
from nbtrack.db import (
    APPLICATION_ID,
    Loggable,
    connect_writer,
    lent,
    storable,
    translate,
    translated,
)
from nbtrack.errors import CorruptDatabaseError, NotFoundError, StoreError
from nbtrack.migrations import LATEST
from nbtrack.store import recovery
from nbtrack.store.sessions import IsAlive

Row = sqlite3.Row


_TABLES = {
    "artifacts",
    "blob_chunks",
    "blob_places",
    "blobs",
    "cell_executions",
    "cells",
    "datasets",
    "experiment_tags",
    "experiments",
    "logged_model_params",
    "logged_model_tags",
    "metric_chunks",
    "metrics",
    "model_aliases",
    "model_metrics",
    "model_version_tags",
    "model_versions",
    "models",
    "param_history",
    "params",
    "registered_model_tags",
    "registered_models",
    "run_inputs",
    "run_models",
    "runs",
    "sessions",
    "tags",
}


class Source:
    """A file that is read: as it is at one moment.

    It is read in the thread that writes to the other file; whoever waits for that may be
    interrupted meanwhile, and closes it.

    Parameters
    ----------
    conn
        Nobody else's connection.
    path
        Where the file is, for errors.

    Raises
    ------
    CorruptDatabaseError
        Not all of nbtrack's tables are tables there.
    """

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn = conn
        self._closed = False
        self.using = threading.Lock()  # held by whoever reads, until they are done
        self.path = path
        self._read = places.database_of(conn)  # a copy, where the file itself cannot be read
        conn.execute("PRAGMA trusted_schema = OFF")  # it may call nothing but plain functions
        conn.text_factory = lambda data: storable(data.decode("utf-8", "replace"))
        conn.execute("BEGIN")
        # A view of one of these names could be a query without an end.
        tables = {
            name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type='table'")
        }
        if absent := sorted(_TABLES - tables):
            raise CorruptDatabaseError(
                f"The database {path} has no table {absent[0]}, which nbtrack makes.",
                hint="Take the database from a backup.",
            )

    def rows(self, sql: str, args: tuple[Any, ...] = ()) -> Iterator[Row]:
        """Yield the rows of a query, one after the other.

        Raises
        ------
        StoreError
            The file cannot be read; it was closed meanwhile.
        """
        with translated(self.path):
            self._check_open()
            for row in self._conn.execute(sql, args):
                yield row
                self._check_open()

    def row(self, sql: str, args: tuple[Any, ...] = ()) -> Row | None:
        """Return the first row of a query, or None."""
        return next(self.rows(sql, args), None)

    def file_beside(self, digest: str, encoding: str) -> Path:
        """Return where a content lies that is beside the file."""
        path = places.file_beside(self._read, digest, encoding)  # as a killed process has left it
        return path if path.exists() else places.file_beside(self.path, digest, encoding)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(
                f"Reading {self.path} was interrupted.", hint="Merge again: it goes on from there."
            )

    def close(self) -> None:
        """Have those who read stop at the next row, and let the file go on."""
        self._closed = True
        with self.using:
            self._conn.rollback()


@contextmanager
def opened(
    path: Path,
    *,
    is_alive: IsAlive,
    kinds: Mapping[str, type[Loggable]],
    on_trouble: Callable[[str], None],
) -> Iterator[Source]:
    """Open a file to bring runs over from.

    Parameters
    ----------
    is_alive
        Tells whether a process lives: the journals of dead ones are read, too.
    kinds
        The records that a journal may have.
    on_trouble
        Called with what a journal has that cannot be read.

    Raises
    ------
    NbtrackError
        The file is absent, foreign, damaged or too new.
    """
    if not path.exists():
        raise NotFoundError(
            f"There is no database {path} to merge.", hint="Look at the path; it is a file."
        )
    journals = recovery.left_behind(path, is_alive, "")
    if not journals and not _is_older(path):
        with _lent(path, path) as source:
            yield source
        return
    with tempfile.TemporaryDirectory(prefix="nbtrack-merge-") as folder:
        copy = Path(folder, path.name)
        _copy(path, copy)
        _link_incoming(path, copy)
        with translated(path), closing(connect_writer(copy)) as conn:
            for journal in journals:
                beside = copy.with_name(copy.name + journal.name.removeprefix(path.name))
                shutil.copyfile(journal, beside, follow_symlinks=False)
                recovery.recover(conn, beside, kinds, on_trouble)
        with _lent(copy, path) as source:
            yield source


def _link_incoming(path: Path, copy: Path) -> None:
    """Let what a journal stores in a copy of the database find the contents that wait beside it.

    They get their places there by being renamed, which leaves the files themselves alone.
    """
    there = places.folder(path) / places.INCOMING
    if there.is_dir():
        here = places.folder(copy) / places.INCOMING
        here.mkdir(parents=True)
        for file in there.iterdir():
            try:
                (here / file.name).symlink_to(file)
            except OSError:  # Windows has no links for everybody
                shutil.copyfile(file, here / file.name)


@contextmanager
def _lent(path: Path, name: Path) -> Iterator[Source]:
    with lent(path) as conn:
        with translated(name):
            source = Source(conn, name)
        try:
            yield source
        finally:
            source.close()


def _readonly(path: Path, options: str = "") -> sqlite3.Connection:
    name = quote(os.fsencode(path))
    return sqlite3.connect(f"file:{name}?mode=ro{options}", uri=True, isolation_level=None)


def _is_older(path: Path) -> bool:
    """Return whether a file of ours has an older schema: to open it would bring it up to date."""
    for options in ("", "&immutable=1"):  # read-only media have no room for the log's index
        try:
            with closing(_readonly(path, options)) as conn:
                (application_id,) = conn.execute("PRAGMA application_id").fetchone()
                (version,) = conn.execute("PRAGMA user_version").fetchone()
                (tables,) = conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error:
            continue  # opening it as usual says what is wrong
        ours = application_id == APPLICATION_ID or not (application_id or tables)
        return bool(ours and version < LATEST)
    return False


def _copy(path: Path, copy: Path) -> None:
    for options in ("", "&immutable=1"):
        try:
            with (
                closing(_readonly(path, options)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
        except sqlite3.Error as error:
            trouble = error
        else:
            return
    raise translate(trouble, path) from trouble
