"""The process that writes, in the file: so that the runs of one that died can be closed."""

from __future__ import annotations

import json
from collections.abc import Callable

from nbtrack.db import Connection, storable
from nbtrack.store.base import Session
from nbtrack.store.records import now_ms

IsAlive = Callable[[str, int, str, int], bool]
"""Tells from machine, pid, process start and last heartbeat whether a process lives."""


class SessionKeeper:
    """Keeps the session of this process in a file, and closes the runs of those that died.

    Parameters
    ----------
    session
        This process.
    is_alive
        Tells whether another process lives.
    """

    def __init__(self, session: Session, is_alive: IsAlive) -> None:
        self._session = session
        self._is_alive = is_alive

    def opened(self, conn: Connection) -> None:
        """Note the session, and close as KILLED what dead processes left RUNNING."""
        conn.execute("BEGIN IMMEDIATE")
        try:
            self._put(conn)
            for session_id, *process in conn.execute(
                "SELECT DISTINCT s.session_id, machine, pid, process_start, heartbeat_ms"
                " FROM sessions s JOIN runs USING (session_id) WHERE runs.status = 'RUNNING'"
            ).fetchall():
                if session_id != self._session.session_id and not self._is_alive(*process):
                    conn.execute(
                        "UPDATE runs SET status = 'KILLED', end_time = max(start_time, ?)"
                        " WHERE session_id = ? AND status = 'RUNNING'",
                        (process[-1], session_id),
                    )
            conn.execute("COMMIT")
        except BaseException:
            if conn.in_transaction:  # a full disk has ended it already
                conn.execute("ROLLBACK")
            raise

    def beat(self, conn: Connection) -> None:
        """Note that this process is alive."""
        conn.execute(
            "UPDATE sessions SET heartbeat_ms = ? WHERE session_id = ?",
            (now_ms(), self._session.session_id),
        )

    def _put(self, conn: Connection) -> None:
        s = self._session
        conn.execute(
            "INSERT OR IGNORE INTO sessions (session_id, user_id, host, machine, pid,"
            " process_start, notebook, environment, start_ms, heartbeat_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                s.session_id,
                s.user_id,
                s.host,
                s.machine,
                s.pid,
                s.process_start,
                None if s.notebook is None else storable(s.notebook),
                json.dumps(s.environment()),
                s.start_ms,
                now_ms(),
            ),
        )
