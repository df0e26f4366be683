"""Contents that are beside a database are brought to their address, in the background.

One thread per process and database, as long as there is something to do. A content stays readable
where it is until it has arrived. What is not brought in the life of one process is by the next one
that writes to the database; where an address cannot be reached that is told once, and tried again
after longer and longer waits.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import threading
import time
import weakref
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from nbtrack.artifacts import fsspec, places, records
from nbtrack.artifacts.locking import only_one
from nbtrack.db import Reader, RecordSink
from nbtrack.errors import NbtrackError

EXIT_TIMEOUT_S = 10.0
"""How long the end of a process waits for what it is bringing."""
_RETRY_S = (1.0, 300.0)  # first and longest wait between tries
_BUSY_S = 0.5  # to the next look whether another process is done

_WAITING = (
    "SELECT digest, encoding, next_place_id, uri FROM blobs JOIN blob_places p"
    " ON p.place_id = next_place_id WHERE next_place_id IS NOT NULL ORDER BY stored_bytes"
)

_all: weakref.WeakSet[Uploads] = weakref.WeakSet()


class Uploads:
    """Brings contents of one database to their addresses.

    Parameters
    ----------
    database
        The file.
    sink, reader
        Its writer, and connections that read it.
    on_trouble
        Called with a sentence for the user and its cause, from the thread.
    """

    def __init__(
        self,
        database: Path,
        sink: RecordSink,
        reader: Reader,
        on_trouble: Callable[[str, str], None],
    ) -> None:
        self.database = database
        self._sink = sink
        self._reader = reader
        self._on_trouble = on_trouble
        self._start_empty()
        _all.add(self)
        _end_with_process()

    def _start_empty(self) -> None:
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_stirred = False  # somebody came since the thread looked for work
        self._rests = False  # the last try has failed, and the next one comes later
        self._failures = 0  # tries that failed, ever
        self._is_over = False  # the process ends

    def resume(self) -> None:
        """Go on with what an earlier process has left, if it can have left something."""
        if places.folder(self.database).is_dir():
            self.stir()

    def stir(self) -> None:
        """Look for something to bring; returns at once."""
        with self._changed:
            if self._is_over:
                return
            self._is_stirred = True
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="nbtrack-uploads", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the process ends: the next one brings it
                    return
                self._thread = thread
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> int:
        """Bring what is to be brought, and return how many contents are still waiting.

        Parameters
        ----------
        timeout
            Seconds that are waited at most; None: until all is brought, or a try has failed.

        Raises
        ------
        StoreError
            The database cannot be read or written.
        """
        self._sink.flush()
        if not self.database.exists():
            return 0
        deadline = None if timeout is None else time.monotonic() + timeout
        waits = True
        while waits:  # again: another process may have come with something
            waits = bool(self._waiting())
            with self._changed:
                before = self._failures
                if waits:
                    self.stir()
                is_over = waits and self._thread is None  # the process ends
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                is_done = self._changed.wait_for(
                    lambda: self._thread is None or self._failures > before,  # noqa: B023
                    timeout=left,
                )
                if is_over or not is_done or self._failures > before:
                    break
        return len(self._waiting())

    def end(self, timeout: float) -> None:
        """Wait a while for what is to be brought, then stop: the process ends."""
        deadline = time.monotonic() + timeout
        # What cannot be written now is told by the writer, and brought by the next process.
        with contextlib.suppress(NbtrackError):
            self._sink.flush(timeout)
        with self._changed:
            self._changed.wait_for(
                lambda: self._thread is None or self._rests,
                timeout=max(0.0, deadline - time.monotonic()),
            )
            self._is_over = True
            self._changed.notify_all()

    def _waiting(self) -> list[tuple[str, str, int, str]]:
        return [(row[0], row[1], row[2], row[3]) for row in self._reader.rows(_WAITING)]

    # ---------------------------------------------------------------- the thread's side

    def _run(self) -> None:
        wait = _RETRY_S[0]
        while True:
            with self._changed:
                self._is_stirred = self._rests = False
            outcome = self._round()
            with self._changed:
                if self._is_over or (outcome is _Outcome.DONE and not self._is_stirred):
                    self._thread = None
                    self._changed.notify_all()
                    return
                pause = 0.0
                if outcome is _Outcome.BUSY:
                    pause = _BUSY_S
                elif outcome is _Outcome.FAILED:
                    pause = wait
                    self._rests = True
                    self._failures += 1
                    self._changed.notify_all()
                self._changed.wait_for(lambda: self._is_stirred or self._is_over, timeout=pause)
            wait = min(2 * wait, _RETRY_S[1]) if outcome is _Outcome.FAILED else _RETRY_S[0]

    def _round(self) -> _Outcome:
        """Bring all that waits, but for places that cannot be reached."""
        failed: set[str] = set()
        try:
            self._sink.flush()
            if not self.database.exists():
                return _Outcome.DONE
            for digest, encoding, place_id, uri in self._waiting():
                if uri in failed:
                    continue
                with only_one(self.database) as is_alone:
                    if not is_alone:
                        return _Outcome.BUSY
                    if (digest, encoding, place_id, uri) not in self._waiting():
                        continue  # another process has done it
                    try:
                        self._bring(digest, encoding, uri)
                    except (NbtrackError, OSError) as error:
                        failed.add(uri)
                        if not self._is_over:
                            self._tell(uri, error)
                        continue
                    self._sink.call(records.Arrived(digest, place_id))
                    self._sink.call(records.DropFile(digest, encoding))
        except NbtrackError:  # the database's trouble, which its writer tells
            return _Outcome.FAILED
        except OSError as error:  # of the lock: a file system that has none, say
            self._tell("their address", error)
            return _Outcome.FAILED
        return _Outcome.FAILED if failed else _Outcome.DONE

    def _bring(self, digest: str, encoding: str, uri: str) -> None:
        source = places.file_beside(self.database, digest, encoding)
        target = f"{uri}/{places.file_name(digest, encoding)}"
        fsspec.write(target, source, stop=lambda: self._is_over)

    def _tell(self, uri: str, error: Exception) -> None:
        what = error.message if isinstance(error, NbtrackError) else f"{error}."
        hint = error.hint if isinstance(error, NbtrackError) else None
        self._on_trouble(
            f"Contents of artifacts could not be brought to {uri} and stay beside the database "
            f"until they can: {what}" + (f"\nhint: {hint}" if hint else ""),
            f"upload {uri}",
        )


class _Outcome(Enum):
    DONE = "nothing is left"
    BUSY = "another process is at it"
    FAILED = "something could not be brought"


def _sent(database: Path) -> None:
    for uploads in list(_all):
        if places.folder(uploads.database) == places.folder(database):
            uploads.stir()


records.on_sent.append(_sent)


# ---------------------------------------------------------------- fork and exit


def _end_all() -> None:
    deadline = time.monotonic() + EXIT_TIMEOUT_S
    for uploads in list(_all):
        uploads.end(max(0.0, deadline - time.monotonic()))


@functools.cache
def _end_with_process() -> None:
    # Before those of concurrent.futures: after them no library can ask for an address any more.
    import concurrent.futures.thread  # noqa: F401

    register = getattr(threading, "_register_atexit", atexit.register)
    with contextlib.suppress(RuntimeError):  # the process ends already
        register(_end_all)


def _after_fork_in_child() -> None:
    for uploads in list(_all):
        uploads._start_empty()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
