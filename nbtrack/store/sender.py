"""The one thread of a process that sends to a tracking server.

As the writer of a file: what is logged goes into a journal (`nbtrack.store.journal`), where a kill
cannot reach it, in the user's own folder; the thread delivers it (`nbtrack.store.outbox`), at most
`INTERVAL_S` after it came, in its order. A server that is away never reaches the caller: what was
logged waits, the trouble is told once, and sending is tried again until it works, in this process
or in the next one that uses this server.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

from nbtrack import exits
from nbtrack.db import Loggable
from nbtrack.errors import InvalidParameterError, NbtrackError, NotFoundError, StoreError
from nbtrack.settings import settings
from nbtrack.store import journal, journal_file, outbox, recovery, sessions
from nbtrack.store.base import Session
from nbtrack.types import RunStatus
from nbtrack.wire.address import Address
from nbtrack.wire.http import Http

INTERVAL_S = 1.0
EXIT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0  # who asks a server waits for it to take what it has not; not if it is away
_RETRY_S = (0.5, 30.0)  # first and longest wait between tries
_BATCH = 200

_senders: weakref.WeakSet[Sender] = weakref.WeakSet()


def spool_of(address: Address) -> Path:
    """Return what the journals for a server are called by: a path in the user's state folder."""
    import platformdirs

    name = hashlib.sha256(str(address).encode()).hexdigest()[:32]
    folder = Path(platformdirs.user_state_dir("nbtrack", appauthor=False)) / "servers" / name
    return folder / "spool"


class Sender:
    """Journal and thread that send to one server. It takes records as a file's writer does.

    Parameters
    ----------
    http
        The server.
    session
        Asked who this process is, again after a fork.
    is_alive
        Tells whether another process lives.
    on_trouble
        Called once per distinct cause, with a sentence for the user, from the sender's thread.
    handlers
        What delivers the records that are no part of ``log-batch``.
    kinds
        Records that can be submitted, by the name they have in the journal, besides the store's.
    beat_s
        Seconds between two signs of life.
    """

    def __init__(
        self,
        http: Http,
        *,
        session: Callable[[], Session],
        is_alive: sessions.IsAlive,
        on_trouble: Callable[[str], None],
        handlers: Mapping[type[Loggable], outbox.Handler],
        kinds: Mapping[str, type[Loggable]],
        beat_s: float = 10.0,
    ) -> None:
        self.http = http
        self.spool = spool_of(http.address)
        self._session = session
        self._is_alive = is_alive
        self._on_trouble = on_trouble
        self._handlers = handlers
        self._kinds = {**outbox.KINDS, **kinds}
        self._names = {kind: name for name, kind in self._kinds.items()}
        self._beat_s = beat_s
        self._told: set[str] = set()
        self.journal = journal.Journal(
            self.spool,
            identity=self._identity,
            on_work=self._wake,
            on_fault=lambda what: self._tell("lost", f"Lost: {what}."),
            max_bytes=lambda: settings.max_pending_mb * 2**20,
        )
        self.add_point = self.journal.add_point
        self.expect = self.journal.expect
        self._start_empty()
        _senders.add(self)

    def _start_empty(self) -> None:
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._outbox = self._new_outbox()
        self._failures = 0  # tries that failed, ever
        self._trouble: NbtrackError | None = None
        self._urgent = self._stirred = self._is_behind = self._closed = False
        self._looked = False  # for what killed processes left behind

    def _new_outbox(self) -> outbox.Outbox:
        return outbox.Outbox(self.http, self._handlers, self._kinds, self._tell)

    def _identity(self) -> Mapping[str, object]:
        """Say who writes the journal, where it is about to be made."""
        with contextlib.suppress(OSError):  # then the journal looks for another place
            self.spool.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return sessions.identity(self._session())

    # ---------------------------------------------------------------- the callers' side

    def submit(self, record: Loggable) -> None:
        """Keep a record; returns at once and never raises for the state of the server."""
        if self._closed:
            self._tell("closed", f"{self.http.address} was closed: later records are lost.")
            return
        kind = self._names[type(record)]
        try:
            kept = self.journal.append(kind, record)
        except (TypeError, ValueError, RecursionError) as error:
            self._tell(kind, f"A record could not be kept and was left out ({kind}: {error}).")
            return
        if not kept:
            self._tell(
                "full",
                f"The tracking server {self.http.address} takes nothing and the records waiting "
                f"for it fill {settings.max_pending_mb} MB: further records are lost until it "
                "does.",
            )

    def flush(self, timeout: float = READ_TIMEOUT_S) -> None:
        """Return when all that was kept before is on the server.

        Raises
        ------
        StoreError
            It could not be sent within `timeout` seconds; it goes on waiting.
        """
        if threading.current_thread() is self._thread:
            return  # which asks the server for what it needs to send the rest
        records_kept, points = self.journal.kept()
        if self._has(records_kept, points):
            self._look_for_others()
            return
        with self._changed:
            before = self._failures
            self._hurry()
            deadline = time.monotonic() + timeout
            while not self._has(records_kept, points):
                left = deadline - time.monotonic()
                if self._failures > before or left <= 0:
                    raise self._trouble or StoreError(
                        f"{self.http.address} did not take all of it within {timeout:g} s.",
                        hint="The rest waits on this machine; sending goes on in the background.",
                    )
                self._changed.wait(left)

    def _has(self, count: int, points: int) -> bool:
        return self._outbox.records >= count and self._outbox.points >= points

    def _look_for_others(self) -> None:
        """Have what killed processes left behind sent, also by a process that logs nothing."""
        if not self._looked:
            self._looked = True
            own = self._session().session_id
            if recovery.left_behind(self.spool, self._is_alive, own):
                self._wake()

    def hurry(self) -> None:
        """Send what waits without waiting for the interval, and without blocking."""
        with self._changed:
            if self.journal.waiting:
                self._hurry()

    def _hurry(self) -> None:
        self._urgent = self._stirred = True
        self._start_thread()
        self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._stirred = True
            self._start_thread()
            self._changed.notify_all()

    def close(self, timeout: float = EXIT_TIMEOUT_S) -> None:
        """Send what waits, as long as the time lasts; the rest stays for the next process."""
        if self._closed:
            return
        trouble: NbtrackError | None = None
        try:
            self.flush(timeout)
        except NbtrackError as error:
            trouble = error
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(1.0 if trouble else timeout)
        waiting = self.journal.waiting
        if self._thread is None or not self._thread.is_alive():
            kept = self.journal.close()
        else:
            kept = self.journal.path  # the thread is in a request: it, and the file, end with us
        if waiting:
            self._on_trouble(
                f"{trouble or 'The tracking server was busy.'}\n"
                + (
                    f"What was logged waits in {kept}, and is sent by the next process that uses "
                    f"{self.http.address}."
                    if kept is not None
                    else f"{waiting} records could not be sent."
                )
            )

    def _start_thread(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="nbtrack-sender", daemon=True)
            self._thread.start()

    # ---------------------------------------------------------------- the thread's side

    def _run(self) -> None:
        wait = _RETRY_S[0]
        beat = time.monotonic()
        while True:
            idle = self.journal.rest()
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
                    self._changed.wait(INTERVAL_S)
                self._urgent = self._stirred = False
            if not waiting or self._send_batch():
                wait = _RETRY_S[0]
            else:
                with self._changed:
                    if not self._closed and not self._urgent:
                        self._changed.wait(wait)
                wait = min(2 * wait, _RETRY_S[1])
            if time.monotonic() >= beat:
                self.journal.touch()
                self._recover()
                beat = time.monotonic() + self._beat_s

    def _send_batch(self) -> bool:
        """Send what waits, up to `_BATCH` records; return whether the server took it."""
        try:
            batch = self.journal.take(_BATCH)
            self._outbox.deliver(batch.frames, batch.points, batch.first_point)
        except StoreError as error:
            self._note_trouble(error)
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing must be lost
            what = f"{type(error).__name__}: {error}"
            self._note_trouble(StoreError(f"{self.http.address} cannot be sent to ({what})."))
            return False
        finally:
            self.journal.note_delivered(self._outbox.records, self._outbox.points)
        self.journal.done(batch, self._outbox.points)
        self._is_behind = len(batch.frames) >= _BATCH
        self.journal.hold(False)
        with self._changed:
            self._trouble = None
            self._changed.notify_all()
        return True

    def _note_trouble(self, error: StoreError) -> None:
        self.journal.hold(True)
        self.journal.make_room()
        with self._changed:
            self._trouble = error
            self._failures += 1
            self._changed.notify_all()
        self._tell(
            error.message,
            f"{error.message} Training goes on; what is tracked waits on this machine.\n"
            f"hint: {error.hint or 'Sending is tried again by itself.'}",
        )

    def _recover(self) -> None:
        """Send what killed processes left behind, and close their runs as KILLED."""
        self._looked = True
        own = self._session().session_id
        for path in recovery.left_behind(self.spool, self._is_alive, own):
            try:
                with recovery.opened(path) as file:
                    head = None if file is None else journal_file.read_head(file)
                    if file is None or head is None:
                        continue
                    self._send_all(file, head)
            except StoreError as error:
                self._tell(error.message, f"{error.message} What {path} has waits for it.")
                return
            except Exception as error:  # noqa: BLE001 - its bytes may be any
                self._tell(
                    str(path),
                    f"The file {path}, which a killed process left behind, cannot be read and is "
                    f"left as it is ({type(error).__name__}: {error}).",
                )
                continue
            with contextlib.suppress(OSError):
                path.unlink()

    def _send_all(self, file: int, head: journal_file.Head) -> None:
        # Tried again with the next sign of life, and from the beginning: what a server fails
        # with is looked for at once.
        box = outbox.Outbox(
            self.http, self._handlers, self._kinds, self._tell, head.delivered, max_fails=1
        )
        begun: dict[str, None] = {}
        part: list[journal_file.Frame] = []
        for frame, _ in journal_file.frames(file, head.start):
            _note_life(frame, begun)
            part.append(frame)
            if len(part) >= _BATCH:
                box.deliver(part)
                part = []
        box.deliver(part, journal_file.read_slots(file, head.base), head.base)
        ended_ms = os.fstat(file).st_mtime_ns // 1_000_000
        for run_id in begun:
            with contextlib.suppress(NotFoundError, InvalidParameterError):  # it is gone by now
                query = {"run_id": run_id}
                found = self.http.call("GET", "runs/get", query=query, wants="run", retries=0)
                if found["run"]["info"].get("status") == RunStatus.RUNNING:
                    end = {"run_id": run_id, "status": RunStatus.KILLED, "end_time": ended_ms}
                    self.http.call("POST", "runs/update", end, retries=0)

    def _tell(self, cause: str, message: str) -> None:
        if cause not in self._told:
            self._told.add(cause)
            self._on_trouble(message)

    # ---------------------------------------------------------------- fork

    def _after_fork_in_child(self) -> None:
        self.journal.forget()
        self._start_empty()


def _note_life(frame: journal_file.Frame, begun: dict[str, None]) -> None:
    """Note which runs of a dead process were begun and not ended, as far as its journal tells."""
    if frame.kind == outbox.BEGUN and frame.fields:
        begun[str(frame.fields[0])] = None
    elif frame.kind == "update_run" and isinstance(frame.fields[-1], dict):
        status = frame.fields[-1].get("status")
        if status is not None and status != RunStatus.RUNNING:
            begun.pop(str(frame.fields[0]), None)


def _after_fork_in_child() -> None:
    for sender in list(_senders):
        sender._after_fork_in_child()


def _at_exit() -> None:
    for sender in list(_senders):
        sender.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
exits.register(exits.Step.STORES, _at_exit)
