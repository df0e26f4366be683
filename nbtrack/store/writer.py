"""The one thread of a process that writes to a database file.

What is logged goes into a journal (`nbtrack.store.journal`), where a kill cannot reach it; the
thread folds it into the database, at most `COMMIT_INTERVAL_S` after it came, in its order. Trouble
with the file (locked, full, read-only, damaged, in a folder that is gone) never reaches the caller:
what was logged waits in the journal, the trouble is told once, and writing is tried again until it
works, in this process or in the next one.

Guarantees: order is kept; a record is applied once or, when it is itself at fault, reported and
left out; after a fork the child starts with a journal and a connection of its own.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbtrack import exits
from nbtrack.db import (
    Connection,
    DatabaseError,
    Loggable,
    Record,
    begin,
    close_readers,
    connect_writer,
    file_identity,
    is_network_folder,
    is_trouble,
    log_identity,
    translate,
)
from nbtrack.errors import NbtrackError, StoreError
from nbtrack.settings import settings
from nbtrack.store import fold, journal, recovery, sealing, sessions
from nbtrack.store.base import Session

COMMIT_INTERVAL_S = 0.05
EXIT_TIMEOUT_S = 10.0
_RETRY_S = (0.2, 5.0)  # first and longest wait between tries
_BATCH = 5_000
_FORK_WAIT_S = 2.0  # longest wait of a fork for the batch that is being written

_writers: weakref.WeakSet[Writer] = weakref.WeakSet()
_abandoned: list[Connection] = []
_over_fork: list[Writer] = []


@dataclass(slots=True)
class _Call:
    """A record that somebody waits for; guarded by the writer's condition."""

    record: Record
    done: bool = False
    in_flight: bool = False  # inside a transaction: too late to take the record back
    taken_back: bool = False
    value: Any = None
    error: Exception | None = None


class Writer:
    """Journal and thread that write to one file; the file is made by the first record.

    Parameters
    ----------
    path
        The database.
    session
        Asked who this process is, again after a fork.
    is_alive
        Tells whether another process lives.
    on_trouble
        Called once per distinct cause, with a sentence for the user, from the writer's thread.
    kinds
        Records that can be submitted, by the name they have in the journal, besides the store's.
    beat_s
        Seconds between two signs of life.
    """

    def __init__(
        self,
        path: Path,
        *,
        session: Callable[[], Session],
        is_alive: sessions.IsAlive,
        on_trouble: Callable[[str], None],
        kinds: Mapping[str, type[Loggable]] | None = None,
        beat_s: float = 10.0,
    ) -> None:
        self.path = path
        self._session = session
        self._is_alive = is_alive
        self._on_trouble = on_trouble
        self._kinds = {**fold.KINDS, **(kinds or {})}
        self._names = fold.names(self._kinds)
        self._beat_s = beat_s
        self._told: set[str] = set()
        self._conn: Connection | None = None
        self._identity: tuple[int, int] | None = None  # of the file that is open
        self._log: tuple[int, int] | None = None  # and of its log
        self._using = threading.RLock()  # held while the connection is in use, and over a fork
        self.journal = journal.Journal(
            path,
            identity=lambda: sessions.identity(self._session()),
            on_work=self._wake,
            on_fault=lambda what: self._tell("lost", f"Lost: {what}."),
            max_bytes=lambda: settings.max_pending_mb * 2**20,
        )
        self.add_point = self.journal.add_point
        self.expect = self.journal.expect
        self._start_empty()
        _writers.add(self)

    def _start_empty(self) -> None:
        self._calls: deque[_Call] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._fold = fold.Fold(self._kinds, self._left_out)
        self._failures = 0  # tries that failed, ever
        self._trouble: NbtrackError | None = None
        self._urgent = False
        self._is_behind = False  # the last batch was as large as one can be: there is more
        self._stirred = False  # somebody came since the thread looked for work
        self._closed = False
        self._looked = False  # for what killed processes left behind

    # ---------------------------------------------------------------- the callers' side

    def submit(self, record: Loggable) -> None:
        """Keep a record; returns at once and never raises for the state of the database."""
        if self._closed:
            self._tell("closed", f"The database {self.path} was closed: later records are lost.")
            return
        kind = self._names[type(record)]
        try:
            kept = self.journal.append(kind, record)
        except (TypeError, ValueError, RecursionError) as error:
            self._left_out(kind, error)
            return
        if not kept:
            self._tell(
                "full",
                f"The database {self.path} cannot be written and the records waiting for it fill "
                f"{settings.max_pending_mb} MB: further records are lost until it can.",
            )

    def call(self, record: Record, timeout: float = 30.0) -> Any:
        """Write a record now, after all that was submitted, and return its result.

        Raises
        ------
        StoreError
            The database cannot be written; the record is taken back.
        NbtrackError
            What ``apply`` raised.
        """
        if self._closed:
            raise StoreError(f"The database {self.path} was closed.")
        call = _Call(record)
        deadline = time.monotonic() + timeout
        with self._changed:
            before = self._failures
            self._calls.append(call)
            self._hurry()
            while not call.done:
                left = deadline - time.monotonic()
                if (self._failures > before or left <= 0) and not call.in_flight:
                    call.taken_back = True
                    raise self._trouble or StoreError(
                        f"The database {self.path} did not answer within {timeout:g} s."
                    )
                self._changed.wait(max(left, 0.05))
        if call.error is not None:
            raise call.error
        return call.value

    def flush(self, timeout: float = 10.0) -> None:
        """Return when all that was kept before is committed.

        Raises
        ------
        StoreError
            It could not be written within `timeout` seconds; it goes on waiting in the journal.
        """
        records, points = self.journal.kept()
        if self._has(records, points):
            self._look_for_others()
            return
        with self._changed:
            before = self._failures
            self._hurry()
            deadline = time.monotonic() + timeout
            while not self._has(records, points):
                left = deadline - time.monotonic()
                if self._failures > before or left <= 0:
                    raise self._trouble or StoreError(
                        f"The database {self.path} could not be written within {timeout:g} s.",
                        hint="The records stay in the journal; writing goes on in the background.",
                    )
                self._changed.wait(left)

    def _has(self, records: int, points: int) -> bool:
        return self._fold.records >= records and self._fold.points >= points

    def _look_for_others(self) -> None:
        """Have what killed processes left behind brought in, before this one reads for once."""
        if not self._looked:
            self._looked = True
            own = self._session().session_id
            if recovery.left_behind(self.path, self._is_alive, own):
                with contextlib.suppress(NbtrackError):  # on read-only media, say
                    self.call(_Nothing())

    def hurry(self) -> None:
        """Commit what waits without waiting for the interval, and without blocking."""
        with self._changed:
            if self.journal.waiting:
                self._hurry()

    def _hurry(self) -> None:
        self._urgent = True
        self._stirred = True
        self._start_thread()
        self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._stirred = True
            self._start_thread()
            self._changed.notify_all()

    def close(self, timeout: float = EXIT_TIMEOUT_S) -> None:
        """Commit what waits, then close the file. Calling it again does nothing."""
        if self._closed:
            return
        trouble = None
        try:
            self.flush(timeout)
        except NbtrackError as error:
            trouble = error
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
        waiting = self.journal.waiting
        if stopped:
            kept = self.journal.close()
            if waiting and kept is not None:
                self._on_trouble(
                    f"{trouble or 'The database was busy.'}\n"
                    f"What was logged waits in {kept}, and is stored when the database is opened "
                    "the next time."
                )
            elif waiting:
                self._on_trouble(f"{waiting} records could not be stored. {trouble}")

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
            # Not within the condition: a signal's handler may log, and stir us, while its thread
            # holds the lock of the journal.
            idle = self._is_idle()
            with self._changed:
                while (
                    idle
                    and not self._stirred
                    and not self._closed
                    and (left := beat - time.monotonic()) > 0
                ):
                    self._changed.wait(left)
                if self._closed:
                    return
                waiting = self._stirred or not idle
                if waiting and not self._urgent and not self._is_behind:
                    self._changed.wait(COMMIT_INTERVAL_S)
                self._urgent = self._stirred = False
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

    def _is_idle(self) -> bool:
        return self.journal.rest() and not self._calls

    def _beat(self) -> None:
        self.journal.touch()
        # Not for a file that is gone: a heartbeat must not make a new one.
        identity = self._identity
        if identity and file_identity(self.path) == identity:
            # A missed heartbeat is no news: the next one comes, and a real trouble with the
            # file shows when something is to be written.
            with contextlib.suppress(DatabaseError, NbtrackError), self._using:
                conn = self._open()
                sessions.beat(conn, self._session().session_id)
                self._recover(conn)

    def _write_batch(self) -> bool:
        """Commit what waits, up to `_BATCH` records; return whether the file took it."""
        try:
            with self._using:
                conn = self._open()
                batch = self.journal.take(_BATCH)
                with self._changed:
                    calls = [call for call in self._calls if not call.taken_back]
                    # A call comes after what was submitted before it: also what is left for the
                    # next batch.
                    if len(batch.frames) >= _BATCH:
                        calls = []
                    for call in calls:
                        call.in_flight = True
                done, results = self._commit(conn, batch, calls)
                self._log = log_identity(self.path)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing must be lost
            self._note_trouble(translate(error, self.path))
            return False
        self.journal.done(batch, done.points)
        self._is_behind = len(batch.frames) >= _BATCH
        self.journal.hold(False)
        with self._changed:
            self._fold = done
            for call, (value, fault) in zip(calls, results, strict=True):
                call.value, call.error, call.done = value, fault, True
            while self._calls and (self._calls[0].done or self._calls[0].taken_back):
                self._calls.popleft()
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
                sessions.put(conn, self._session())
                # First what killed processes logged, then their runs are closed.
                self._recover(conn)
                sessions.close_dead(conn, self._session().session_id, self._is_alive)
            except BaseException:
                conn.close()
                raise
            self._conn = conn
            self._identity = file_identity(self.path)
            self._log = None
            if is_network_folder(self.path.parent):
                self._tell(
                    "network",
                    f"The database {self.path} is on another machine, where SQLite is slower and "
                    "depends on the locks of the network's file system.\n"
                    "hint: Keep it on a disk of this machine: NBTRACK_DB or "
                    "nbtrack.set_tracking_uri(...).",
                )
        return self._conn

    def _recover(self, conn: Connection) -> None:
        own = self._session().session_id
        for path in recovery.left_behind(self.path, self._is_alive, own):
            try:
                recovery.recover(conn, path, self._kinds, lambda what: self._tell(what, what))
            except Exception as error:  # its bytes may be any, and must not keep us from writing
                if is_trouble(error):
                    raise  # the database's fault, not the journal's
                self._tell(
                    str(path),
                    f"The file {path}, which a killed process left behind, cannot be read and is "
                    f"left as it is ({type(error).__name__}: {error}).",
                )

    def _log_is_lost(self) -> bool:
        return self._log is not None and log_identity(self.path) != self._log

    def _commit(
        self, conn: Connection, batch: journal.Batch, calls: list[_Call]
    ) -> tuple[fold.Fold, list[tuple[Any, Exception | None]]]:
        done = self._fold.copy()
        begin(conn)
        try:
            done.catch_up(conn, self._session().session_id)
            done.apply(conn, batch.frames)
            # Also without points: some may have been lost for want of room before `first_point`.
            done.add_points(conn, batch.points, batch.first_point)
            fold.note_progress(conn, self._session().session_id, done)
            results = [self._answer(conn, call) for call in calls]
            sealing.seal_ended(conn)
            conn.execute("COMMIT")
        except BaseException:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            raise
        return done, results

    def _answer(self, conn: Connection, call: _Call) -> tuple[Any, Exception | None]:
        """Apply a record that somebody waits for; what is wrong with it is theirs."""
        conn.execute("SAVEPOINT record")
        try:
            value = call.record.apply(conn)
        except Exception as error:
            if is_trouble(error):
                raise  # the file's fault, not the record's
            conn.execute("ROLLBACK TO record")
            conn.execute("RELEASE record")
            return None, error
        conn.execute("RELEASE record")
        return value, None

    def _note_trouble(self, error: NbtrackError) -> None:
        self.journal.hold(True)
        self.journal.make_room()
        with self._changed:
            for call in self._calls:
                call.in_flight = False
            self._trouble = error
            self._failures += 1
            self._changed.notify_all()
        self._tell(
            error.message,
            f"{error.message} Training goes on; what is tracked waits in a journal.\n"
            f"hint: {error.hint or 'Writing is tried again by itself.'}",
        )

    def _left_out(self, what: str, error: Exception) -> None:
        self._tell(
            f"{what}: {type(error).__name__}",
            f"A record could not be stored and was left out ({what}: {error}).",
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
        self.journal.forget()
        self._start_empty()


class _Nothing:
    """A record for which the file is opened, and nothing written."""

    def apply(self, conn: Connection) -> None:
        """Do nothing."""


def _before_fork() -> None:
    for writer in list(_writers):
        writer._before_fork()


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
exits.register(exits.Step.STORES, _at_exit)
