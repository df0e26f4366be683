"""One process at a time brings contents elsewhere, or deletes some there.

The lock is the system's: that of a killed process is free at once. It is one of the process's, so
that a child does not keep its parent's; threads of one process have a lock of their own besides.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from nbtrack.artifacts import places

_threads = threading.Lock()


def _after_fork_in_child() -> None:
    global _threads  # noqa: PLW0603 - the thread that held it is not in the child
    _threads = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


@contextlib.contextmanager
def only_one(database: Path) -> Iterator[bool]:
    """Be the only one who changes contents elsewhere; yield False if somebody else is.

    Raises
    ------
    OSError
        The file of the lock cannot be made.
    """
    threads = _threads  # the same one is released, also after a fork
    if not threads.acquire(blocking=False):
        yield False
        return
    try:
        path = places.make_folder(database) / "uploading.lock"
        with path.open("ab") as file:
            if not _lock(file.fileno()):
                yield False
                return
            yield True  # closing the file gives the lock back
    finally:
        threads.release()


def _lock(file: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return _lock_on_windows(file)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_on_windows(file: int) -> bool:
    import importlib

    msvcrt = importlib.import_module("msvcrt")
    try:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
