"""What a killed process had logged, and the database did not have yet, is brought in.

A journal beside a database may have come with it from anywhere. It is read, never run: its records
are bound to statements of ours, and it is told how many of them were taken.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nbtrack.db import Connection, Loggable, begin, storable
from nbtrack.store import journal_file
from nbtrack.store.fold import Fold, note_progress
from nbtrack.store.sessions import IsAlive

_IDENTITY = ("session_id", "user_id", "host", "machine", "process_start")


def left_behind(database: Path, is_alive: IsAlive, own: str) -> list[Path]:
    """Return the journals of a database whose process is dead.

    Parameters
    ----------
    own
        The session of this process, which is alive.
    """
    found = []
    for folder in journal_file.pending_folders(database):
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            names = sorted(
                e.name for e in entries if e.name.startswith(f"{database.name}-pending-")
            )
            for name in names:
                identity = _identity(folder / name)
                if identity and identity["session_id"] != own and not _lives(identity, is_alive):
                    found.append(folder / name)
    return found


def recover(
    conn: Connection,
    path: Path,
    kinds: Mapping[str, type[Loggable]],
    on_trouble: Callable[[str], None],
) -> None:
    """Bring a journal into the database, all of it or nothing, and remove it.

    Of two processes that do so at once, the second finds it done: how much of the journal the
    database has is noted with the data itself.
    """
    faults: list[str] = []
    with opened(path) as file:
        head = None if file is None else journal_file.read_head(file)
        if file is None or head is None:
            return
        begin(conn)
        try:
            identity = {**head.identity, "touched_ms": _touched_ms(file)}
            had = _put_session(conn, identity, complete=_is_complete(file, head))
            if had is None:
                conn.execute("ROLLBACK")
                on_trouble(
                    f"The file {path} belongs to another database and is left as it is.\n"
                    "hint: Put it beside that one, or delete it."
                )
                return
            fold = Fold(kinds, lambda what, error: faults.append(f"{what}: {error}"), *had)
            fold.apply(conn, (frame for frame, _ in journal_file.frames(file, head.start)))
            fold.add_points(conn, journal_file.read_slots(file, head.base), head.base)
            note_progress(conn, str(head.identity["session_id"]), fold)
            conn.execute("COMMIT")
        except BaseException:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            raise
    # Where it cannot be removed it is read again the next time, and found to be in the database.
    with contextlib.suppress(OSError):
        path.unlink()
    if faults:
        on_trouble(
            f"{len(faults)} records that a killed process left behind could not be stored "
            f"({faults[0]})."
        )


def _is_complete(file: int, head: journal_file.Head) -> bool:
    """Return whether a journal still has all that was ever put into it."""
    numbers = (frame.number for frame, _ in journal_file.frames(file, head.start))
    first = next(filter(None, numbers), None)  # those that say something again have none
    return head.base == 0 if first is None else first == 1


def _put_session(
    conn: Connection, identity: Mapping[str, Any], *, complete: bool
) -> tuple[int, int] | None:
    """Return how much of the session's journal the database has; None if it is another one's."""
    row = conn.execute(
        "SELECT journal_records, journal_points FROM sessions WHERE session_id = ?",
        (identity["session_id"],),
    ).fetchone()
    if row is not None:
        return int(row[0]), int(row[1])
    if not complete:
        return None
    conn.execute(
        "INSERT INTO sessions (session_id, user_id, host, machine, pid, process_start, notebook,"
        " environment, start_ms, heartbeat_ms) VALUES (?, ?, ?, ?, ?, ?, ?, '{}', ?, ?)",
        (
            *(storable(str(identity[name])) for name in _IDENTITY[:4]),
            int(identity["pid"]),
            storable(str(identity["process_start"])),
            None if identity.get("notebook") is None else storable(str(identity["notebook"])),
            int(identity["start_ms"]),
            max(int(identity["start_ms"]), identity["touched_ms"]),
        ),
    )
    return 0, 0


def _touched_ms(file: int) -> int:
    return os.fstat(file).st_mtime_ns // 1_000_000


def _lives(identity: Mapping[str, Any], is_alive: IsAlive) -> bool:
    return is_alive(
        str(identity["machine"]),
        int(identity["pid"]),
        str(identity["process_start"]),
        int(identity["touched_ms"]),
    )


def _identity(path: Path) -> dict[str, Any] | None:
    """Return who writes a journal, and when it was last touched; None if it is none."""
    with opened(path) as file:
        head = None if file is None else journal_file.read_head(file)
        if file is None or head is None:
            return None
        try:
            numbers = {name: int(head.identity[name]) for name in ("pid", "start_ms")}
            texts = {name: head.identity[name] for name in _IDENTITY}
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        if not all(0 <= number < 2**63 for number in numbers.values()):
            return None
        if not all(isinstance(text, str) for text in texts.values()):
            return None
        if texts["session_id"] != storable(texts["session_id"]):
            return None
        return {**texts, **numbers, "touched_ms": _touched_ms(file)}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int | None]:
    """Open a regular file for reading; None for anything else, which might block or lead away."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        file = os.open(path, flags)
    except OSError:
        yield None
        return
    try:
        yield file if stat.S_ISREG(os.fstat(file).st_mode) else None
    finally:
        os.close(file)
