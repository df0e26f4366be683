"""The one thread of a process that writes to a database file.

Records wait in a queue and are committed together, at most `COMMIT_INTERVAL_S` after the first of
them was queued, in the order in which they came. Trouble with the file (locked, full, read-only,
damaged, in a folder that is gone) never reaches the caller of `submit`: the records stay in the
queue, the trouble is told once, and writing is tried again until it works.

Guarantees: order is kept; a record is applied once or, when it is itself at fault, reported and
left out; after a fork the child starts with an empty queue and its own connection.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbtrack.db import (
    Connection,
    DatabaseError,
    Record,
    close_readers,
    connect_writer,
    file_identity,
    is_trouble,
    log_identity,
    translate,
)
from nbtrack.errors import NbtrackError, StoreError
from nbtrack.settings import settings

COMMIT_INTERVAL_S = 0.05
EXIT_TIMEOUT_S = 10.0
_RETRY_S = (0.2, 5.0)  # first and longest wait between tries
_BATCH = 5_000
_FORK_WAIT_S = 2.0  # longest wait of a fork for the batch that is being written

_writers: weakref.WeakSet[Writer] = weakref.WeakSet()
_abandoned: list[Connection] = []
_over_fork: list[Writer] = []


@dataclass(slots=True)
class _Reply:
    """What a caller waits for; guarded by the writer's condition."""

    done: bool = False
    in_flight: bool = False  # inside a transaction: too late to take the record back
    taken_back: bool = False
    value: Any = None
    error: Exception | None = None


_Entry = tuple[Record, _Reply | None]


class Writer:
    """Queue and thread that apply records to one file; the file is made by the first record.

    Parameters
    ----------
    path
        The database.
    on_trouble
        Called once per distinct cause, with a sentence for the user, from the writer's thread.
    on_open
        Called with the connection whenever the file was opened, before anything is written.
    on_beat
        Called with the connection every `beat_s` seconds, as long as the file is there.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_trouble: Callable[[str], None],
        on_open: Callable[[Connection], None] | None = None,
        on_beat: Callable[[Connection], None] | None = None,
        beat_s: float = 10.0,
    ) -> None:
        self.path = path
        self._on_trouble = on_trouble
        self._on_open = on_open
        self._on_beat = on_beat
        self._beat_s = beat_s
        self._told: set[str] = set()
        self._conn: Connection | None = None
        self._identity: tuple[int, int] | None = None  # of the file that is open
        self._log: tuple[int, int] | None = None  # and of its log
        self._using = threading.RLock()  # held while the connection is in use, and over a fork
        self._start_empty()
        _writers.add(self)

    def _start_empty(self) -> None:
        self._queue: deque[_Entry] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._queued = 0  # records ever queued
        self._written = 0  # of these, the ones that are done with
        self._pending_bytes = 0
        self._failures = 0  # tries that failed, ever
        self._trouble: NbtrackError | None = None
        self._urgent = False
        self._closed = False

    # ---------------------------------------------------------------- the callers' side

    def submit(self, record: Record) -> None:
        """Queue a record; returns at once and never raises for the state of the database."""
        self._put(record, None)

    def call(self, record: Record, timeout: float = 30.0) -> Any:
        """Write a record now and return what its ``apply`` returned.

        Raises
        ------
        StoreError
            The database cannot be written; the record is taken back.
        NbtrackError
            What ``apply`` raised.
        """
        reply = _Reply()
        before = self._failures
        self._put(record, reply)
        deadline = time.monotonic() + timeout
        with self._changed:
            while not reply.done:
                left = deadline - time.monotonic()
                if (self._failures > before or left <= 0) and not reply.in_flight:
                    reply.taken_back = True
                    raise self._trouble or StoreError(
                        f"The database {self.path} did not answer within {timeout:g} s."
                    )
                self._changed.wait(max(left, 0.05))
        if reply.error is not None:
            raise reply.error
        return reply.value

    def flush(self, timeout: float = 10.0) -> None:
        """Return when all that was queued before is committed.

        Raises
        ------
        StoreError
            It could not be written within `timeout` seconds; it stays queued.
        """
        with self._changed:
            target = self._queued
            if self._written >= target:
                return
            before = self._failures
            self._urgent = True
            self._start_thread()
            self._changed.notify_all()
            deadline = time.monotonic() + timeout
            while self._written < target:
                left = deadline - time.monotonic()
                if self._failures > before or left <= 0:
                    raise self._trouble or StoreError(
                        f"The database {self.path} could not be written within {timeout:g} s.",
                        hint="The records stay queued; writing goes on in the background.",
                    )
                self._changed.wait(left)

    def hurry(self) -> None:
        """Commit what is queued without waiting for the interval, and without blocking."""
        with self._changed:
            if self._queue:
                self._urgent = True
                self._changed.notify_all()

    def close(self, timeout: float = EXIT_TIMEOUT_S) -> None:
        """Commit what is queued, then close the file. Calling it again does nothing."""
        if self._closed:
            return
        try:
            self.flush(timeout)
        except NbtrackError as error:
            left = self._queued - self._written
            self._on_trouble(f"{left} records could not be stored. {error}")
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
        stopped = self._thread is None or not self._thread.is_alive()
        # Closing would write a lost log into the file once more.
        if self._conn is not None and stopped and not self._log_is_lost():
            self._conn.close()
            self._conn = None

    def _put(self, record: Record, reply: _Reply | None) -> None:
        nbytes = getattr(record, "nbytes", 200)
        with self._changed:
            closed = self._closed
            full = self._trouble is not None and (
                self._pending_bytes + nbytes > settings.max_pending_mb * 2**20
            )
            if not full and not closed:
                self._queue.append((record, reply))
                self._queued += 1
                self._pending_bytes += nbytes
                self._urgent |= reply is not None
                self._start_thread()
                # While the thread collects a batch it needs no waking.
                if reply is not None or len(self._queue) == 1:
                    self._changed.notify_all()
                return
        if reply is not None:
            raise self._trouble or StoreError(f"The database {self.path} cannot be written.")
        if closed:
            self._tell("closed", f"The database {self.path} was closed: later records are lost.")
            return
        self._tell(
            "full",
            f"The database {self.path} cannot be written and the records waiting for it fill "
            f"{settings.max_pending_mb} MB: further records are lost until it can.",
        )

    def _start_thread(self) -> None:
        if self._thread is None and not self._closed:
            # What the thread imports to make a file imports this, and Python refuses that once
            # the process exits: all that a short script has logged would be lost.
            import concurrent.futures.thread  # noqa: F401

            self._thread = threading.Thread(target=self._run, name="nbtrack-writer", daemon=True)
            self._thread.start()

    # ---------------------------------------------------------------- the thread's side

    def _run(self) -> None:
        wait = _RETRY_S[0]
        beat = time.monotonic() + self._beat_s
        while True:
            with self._changed:
                while not self._queue and not self._closed and time.monotonic() < beat:
                    self._changed.wait(beat - time.monotonic())
                if self._closed:
                    return
                waiting = bool(self._queue)
                if waiting and not self._urgent:
                    self._changed.wait(COMMIT_INTERVAL_S)
                self._urgent = False
            if not waiting or self._write_batch():
                wait = _RETRY_S[0]
            else:
                with self._changed:
                    if not self._closed:
                        self._changed.wait(wait)
                wait = min(2 * wait, _RETRY_S[1])
            # Also between batches: a process that logs without a pause is alive, too.
            if time.monotonic() >= beat:
                self._beat()
                beat = time.monotonic() + self._beat_s

    def _beat(self) -> None:
        # Not for a file that is gone: a heartbeat must not make a new one.
        identity = self._identity
        if self._on_beat is not None and identity and file_identity(self.path) == identity:
            # A missed heartbeat is no news: the next one comes, and a real trouble with the
            # file shows when something is to be written.
            with contextlib.suppress(DatabaseError, NbtrackError), self._using:
                self._on_beat(self._open())

    def _write_batch(self) -> bool:
        """Commit up to `_BATCH` records; return whether the file took them."""
        with self._changed:
            batch = [self._queue[i] for i in range(min(len(self._queue), _BATCH))]
            for _record, reply in batch:
                if reply is not None:
                    reply.in_flight = not reply.taken_back
        try:
            with self._using:
                results = self._commit(self._open(), batch)
                self._log = log_identity(self.path)
        except Exception as error:  # noqa: BLE001 - whatever it is, the records must not be lost
            self._note_trouble(translate(error, self.path), batch)
            return False
        with self._changed:
            for (record, reply), (value, fault) in zip(batch, results, strict=True):
                self._queue.popleft()
                self._pending_bytes -= getattr(record, "nbytes", 200)
                if reply is not None:
                    reply.value, reply.error, reply.done = value, fault, True
            self._written += len(batch)
            self._trouble = None
            self._changed.notify_all()
        return True

    def _open(self) -> Connection:
        if self._conn is not None and file_identity(self.path) != self._identity:
            # The file was moved, deleted or replaced under us: what comes now belongs in the
            # one that has its name. What still stands in the log goes along with the old one,
            # and must not be taken for the log of the new one.
            with contextlib.suppress(DatabaseError):
                self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._conn.close()
            self._conn = None
        if self._conn is not None and self._log_is_lost():
            # All that was committed is in the file by now; what we would write is not. Every
            # connection of the process shares SQLite's notes on that log, so a new one is no help.
            raise StoreError(
                f"The log of the database {self.path} was deleted while it was in use.",
                hint="Restart the kernel. Copy the file from outside of it: code in the kernel "
                "that opens the file by hand drops the locks that protect the log.",
            )
        if self._conn is None:
            conn = connect_writer(self.path)
            try:
                if self._on_open is not None:
                    self._on_open(conn)
            except BaseException:
                conn.close()
                raise
            self._conn = conn
            self._identity = file_identity(self.path)
            self._log = None
        return self._conn

    def _log_is_lost(self) -> bool:
        return self._log is not None and log_identity(self.path) != self._log

    def _commit(self, conn: Connection, batch: list[_Entry]) -> list[tuple[Any, Exception | None]]:
        conn.execute("BEGIN IMMEDIATE")
        try:
            results = [self._apply(conn, record, reply) for record, reply in batch]
            conn.execute("COMMIT")
        except BaseException:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            raise
        return results

    def _apply(
        self, conn: Connection, record: Record, reply: _Reply | None
    ) -> tuple[Any, Exception | None]:
        """Apply one record on its own savepoint, so that a bad one spoils nothing else."""
        if reply is not None and reply.taken_back:
            return None, None
        conn.execute("SAVEPOINT record")
        try:
            value = record.apply(conn)
        except Exception as error:
            if is_trouble(error):
                raise  # the file's fault, not the record's
            conn.execute("ROLLBACK TO record")
            conn.execute("RELEASE record")
            if reply is None:
                self._tell(
                    f"{type(record).__name__}: {type(error).__name__}",
                    f"A record could not be stored and was left out "
                    f"({type(record).__name__}: {error}).",
                )
            return None, error
        conn.execute("RELEASE record")
        return value, None

    def _note_trouble(self, error: NbtrackError, batch: list[_Entry]) -> None:
        with self._changed:
            for _record, reply in batch:
                if reply is not None:
                    reply.in_flight = False
            self._trouble = error
            self._failures += 1
            self._changed.notify_all()
        self._tell(
            error.message,
            f"{error.message} Training goes on; what is tracked waits in memory.\n"
            f"hint: {error.hint or 'Writing is tried again by itself.'}",
        )

    def _tell(self, cause: str, message: str) -> None:
        if cause not in self._told:
            self._told.add(cause)
            self._on_trouble(message)

    # ---------------------------------------------------------------- fork and exit

    def _before_fork(self) -> None:
        """Have no connection open, and no call of SQLite under way, while the process forks.

        The locks of a process on a file do not come along into its child, but SQLite's notes
        about them do: the child would believe that it holds them, and lose what it writes when
        the parent closes. A batch that takes too long is not waited for.
        """
        if self._using.acquire(timeout=_FORK_WAIT_S):
            _over_fork.append(self)
            if self._conn is not None:
                self._conn.close()
                self._conn = None  # the next batch, or heartbeat, opens it again

    def _after_fork_in_child(self) -> None:
        if self._conn is not None:
            # Not closed: closing could checkpoint the parent's file from the child.
            _abandoned.append(self._conn)
            self._conn = None
        self._using = threading.RLock()
        self._identity = None
        self._start_empty()


def _before_fork() -> None:
    for writer in list(_writers):
        writer._before_fork()
    # A child of multiprocessing ends without atexit, but with finalizers of its own.
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(_at_exit, lambda _: util.Finalize(None, _at_exit, exitpriority=0))


def _after_fork_in_parent() -> None:
    while _over_fork:
        _over_fork.pop()._using.release()


def _after_fork_in_child() -> None:
    _over_fork.clear()
    for writer in list(_writers):
        writer._after_fork_in_child()


def _at_exit() -> None:
    # The last connection to be closed brings the log into the file; a reader could not.
    close_readers()
    for writer in list(_writers):
        writer.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
atexit.register(_at_exit)
