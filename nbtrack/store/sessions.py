"""The process that writes, in the file: so that the runs of one that died can be closed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nbtrack.db import Connection, storable
from nbtrack.store.base import Session
from nbtrack.store.records import now_ms

IsAlive = Callable[[str, int, str, int], bool]
"""Tells from machine, pid, process start and last heartbeat whether a process lives."""


def identity(session: Session) -> dict[str, Any]:
    """Return who a session is, JSON-able: what a journal begins with."""
    return {
        "session_id": session.session_id,
        "user_id": session.user_id,
        "host": session.host,
        "machine": session.machine,
        "pid": session.pid,
        "process_start": session.process_start,
        # As much of it as a journal has room for, where a character takes up to 12 bytes.
        "notebook": None if session.notebook is None else session.notebook[:250],
        "start_ms": session.start_ms,
    }


def put(conn: Connection, session: Session) -> None:
    """Note a session, unless it is there."""
    conn.execute(
        "INSERT OR IGNORE INTO sessions (session_id, user_id, host, machine, pid,"
        " process_start, notebook, environment, start_ms, heartbeat_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            session.session_id,
            storable(session.user_id),
            storable(session.host),
            session.machine,
            session.pid,
            session.process_start,
            None if session.notebook is None else storable(session.notebook),
            json.dumps(session.environment()),
            session.start_ms,
            now_ms(),
        ),
    )


def close_dead(conn: Connection, own: str, is_alive: IsAlive) -> None:
    """Close as KILLED what dead processes left RUNNING."""
    for session_id, *process in conn.execute(
        "SELECT DISTINCT s.session_id, machine, pid, process_start, heartbeat_ms"
        " FROM sessions s JOIN runs USING (session_id) WHERE runs.status = 'RUNNING'"
    ).fetchall():
        if session_id != own and not is_alive(*process):
            conn.execute(
                "UPDATE runs SET status = 'KILLED', end_time = max(start_time, ?)"
                " WHERE session_id = ? AND status = 'RUNNING'",
                (process[-1], session_id),
            )


def beat(conn: Connection, session_id: str) -> None:
    """Note that a process is alive."""
    conn.execute(
        "UPDATE sessions SET heartbeat_ms = ? WHERE session_id = ?", (now_ms(), session_id)
    )
