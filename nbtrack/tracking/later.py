"""Things that have to wait for the database, done one after another in a thread of their own.

A fit never waits for them; the end of the process does, for some seconds.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable

from nbtrack.tracking import notices

EXIT_TIMEOUT_S = 10.0

_lock = threading.Lock()
_waiting: deque[tuple[str, Callable[[], object]]] = deque()
_thread: threading.Thread | None = None


def do(what: str, function: Callable[[], object]) -> None:
    """Call a function soon. What it raises becomes a warning: it could not do `what`."""
    global _thread  # noqa: PLW0603 - one per process
    with _lock:
        _waiting.append((what, function))
        if _thread is not None:
            return
        _thread = threading.Thread(target=_work, name="nbtrack-later", daemon=True)
        try:
            _thread.start()
            return
        except RuntimeError:  # the process is at its end: there is nobody left to wait for
            _thread = None
    _work()


def wait(timeout: float = EXIT_TIMEOUT_S) -> None:
    """Return when all is done, or the time is over."""
    thread = _thread
    if thread is not None:
        thread.join(timeout)


def _work() -> None:
    global _thread  # noqa: PLW0603
    while True:
        with _lock:
            if not _waiting:
                _thread = None
                return
            what, function = _waiting.popleft()
        try:
            function()
        except Exception as error:  # noqa: BLE001 - this thread has nobody else to tell
            notices.warn(f"nbtrack could not {what}: {error}", cause=f"{what}: {error}")


def _after_fork_in_child() -> None:
    global _lock, _thread
    _lock, _thread = threading.Lock(), None
    _waiting.clear()


atexit.register(wait)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
