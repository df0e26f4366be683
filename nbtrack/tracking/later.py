"""Things that have to wait for the database, done one after another in a thread of their own.

A fit never waits for them; the end of the process does, for some seconds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

from nbtrack import exits
from nbtrack.tracking import notices

EXIT_TIMEOUT_S = 10.0

_Task = tuple[str, Callable[[], object]]
_tasks: SimpleQueue[_Task] = SimpleQueue()
_thread: threading.Thread | None = None
_starting = threading.Lock()


def do(what: str, function: Callable[[], object]) -> None:
    """Call a function soon. What it raises becomes a warning: it could not do `what`."""
    if _thread is None and not _start():
        _try(what, function)
    else:
        _tasks.put((what, function))


def wait(timeout: float = EXIT_TIMEOUT_S) -> None:
    """Return when all is done that is to be done by now, or the time is over."""
    if _thread is not None and _thread is not threading.current_thread():
        done = threading.Event()
        _tasks.put(("tell that all is done", done.set))
        done.wait(timeout)


def _start() -> bool:
    """Start the thread; it stays, since starting one costs more than all that it does."""
    global _thread  # noqa: PLW0603 - one per process
    with _starting:
        if _thread is None:
            thread = threading.Thread(
                target=_work, args=(_tasks,), name="nbtrack-later", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # the process is at its end
                return False
            _thread = thread
    return True


def _work(tasks: SimpleQueue[_Task]) -> None:
    while True:
        _try(*tasks.get())


def _try(what: str, function: Callable[[], object]) -> None:
    try:
        function()
    except Exception as error:  # noqa: BLE001 - this thread has nobody else to tell
        notices.warn(f"nbtrack could not {what}: {error}", cause=f"{what}: {error}")


def _after_fork_in_child() -> None:
    global _starting, _tasks, _thread
    _starting, _tasks, _thread = threading.Lock(), SimpleQueue(), None


exits.register(exits.Step.LATER, wait)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
