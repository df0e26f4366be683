"""What tests of the journal, of recovery and of the writer share."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nbtrack import packing
from nbtrack.db import Loggable, connect_writer
from nbtrack.provenance import is_alive, this_process
from nbtrack.store import NewRun, Session, fold
from nbtrack.store.journal import Journal
from nbtrack.store.records import CreateRun
from nbtrack.store.sessions import identity
from nbtrack.store.writer import Writer
from nbtrack.tracking.names import new_id
from nbtrack.types import RunStatus

ROOT = Path(__file__).resolve().parents[2]


def make_session(session_id: str | None = None, **changes: Any) -> Session:
    """Return a session of this process."""
    process = this_process()
    facts: dict[str, Any] = {
        "session_id": session_id or new_id(),
        "user_id": process.user_id,
        "host": process.host,
        "machine": process.machine,
        "pid": process.pid,
        "process_start": process.process_start,
        "notebook": None,
        "environment": dict,
        "start_ms": 1,
    }
    return Session(**(facts | changes))


def make_writer(
    path: Path,
    told: Callable[[str], object],
    kinds: Mapping[str, type[Loggable]] | None = None,
    **options: Any,
) -> Writer:
    """Return a writer that has, like a workspace, another session in the child of a fork."""
    sessions: defaultdict[int, Session] = defaultdict(make_session)
    return Writer(
        path,
        session=lambda: sessions[os.getpid()],
        is_alive=options.pop("is_alive", is_alive),
        on_trouble=told,
        kinds=kinds,
        **options,
    )


def dead(*_process: object) -> bool:
    """Say that no process lives."""
    return False


def begin(run_id: str, session_id: str | None = None) -> CreateRun:
    """Return the record of a run that begins."""
    return CreateRun(
        NewRun(run_id, "a-run", "Default", RunStatus.RUNNING, 1, "me", session_id=session_id)
    )


def pending(path: Path) -> list[Path]:
    """Return the journals beside a database."""
    return sorted(path.parent.glob(f"{path.name}-pending-*"))


def query(path: Path, sql: str, *args: object) -> list[tuple[Any, ...]]:
    """Return all rows of a query."""
    conn = sqlite3.connect(path)
    try:
        return conn.execute(sql, args).fetchall()
    finally:
        conn.close()


def assert_intact(path: Path) -> None:
    """Assert that SQLite finds nothing wrong, and summaries agree with points."""
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []
    assert (
        query(
            path,
            "SELECT metric_id, count, (SELECT sum(c.count) FROM metric_chunks c"
            " WHERE c.metric_id = m.metric_id) AS stored FROM metrics m WHERE count IS NOT stored",
        )
        == []
    )


def points_of(path: Path, run_id: str, key: str) -> list[tuple[int, int, float]]:
    """Return step, timestamp and value of all points of a metric, in the order of their coming."""
    chunks = query(
        path,
        "SELECT data FROM runs JOIN metrics USING (run_no) JOIN metric_chunks USING (metric_id)"
        " WHERE run_id = ? AND key = ? ORDER BY chunk_id",
        run_id,
        key,
    )
    columns = packing.decode_arrays([chunk for (chunk,) in chunks])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def steps_of(path: Path, run_id: str, key: str) -> list[int]:
    """Return the steps of a metric, sorted."""
    return np.sort([step for step, *_ in points_of(path, run_id, key)]).tolist()


class Folding:
    """A journal, and a database that it is folded into when a test says so.

    Parameters
    ----------
    path
        The database.
    """

    def __init__(self, path: Path, *, max_bytes: int = 2**30) -> None:
        self.path = path
        self.session = make_session()
        self.faults: list[str] = []
        self.left_out: list[str] = []
        self.woken = 0
        self.max_bytes = max_bytes
        self.journal = Journal(
            path,
            identity=lambda: identity(self.session),
            on_work=self._work,
            on_fault=self.faults.append,
            max_bytes=lambda: self.max_bytes,
        )
        self.conn = connect_writer(path)
        from nbtrack.store import sessions

        sessions.put(self.conn, self.session)
        self.fold = fold.Fold(fold.KINDS, lambda *what: self.left_out.append(str(what)))

    def _work(self) -> None:
        self.woken += 1

    def log(self, record: Loggable) -> bool:
        """Put a record in."""
        return self.journal.append(fold.names(fold.KINDS)[type(record)], record)

    def write(self, max_frames: int = 100, *, fails: bool = False) -> None:
        """Do what the writer does: take a batch and commit it, or fail to."""
        batch = self.journal.take(max_frames)
        done = self.fold.copy()
        self.conn.execute("BEGIN IMMEDIATE")
        done.apply(self.conn, batch.frames)
        done.add_points(self.conn, batch.points, batch.first_point)
        fold.note_progress(self.conn, self.session.session_id, done)
        if fails:
            self.conn.execute("ROLLBACK")
            return
        self.conn.execute("COMMIT")
        self.fold = done
        self.journal.done(batch, done.points)

    def write_all(self) -> None:
        """Write until nothing waits."""
        for _ in range(10_000):
            if not self.journal.waiting:
                return
            self.write()
        raise AssertionError(f"{self.journal.waiting} records wait for ever")

    def kill(self) -> None:
        """Lose all that only memory has, as a killed process does."""
        self.journal.forget()
        self.conn.close()


def start_script(script: str, *args: object, **environment: str) -> subprocess.Popen[str]:
    """Start a Python script with this nbtrack."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, args)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_script(script: str, *args: object, **environment: str) -> str:
    """Run a Python script with this nbtrack and return what it prints."""
    process = start_script(script, *args, **environment)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out
