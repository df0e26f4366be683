"""One process at a time brings contents elsewhere, or deletes some there.

The lock is the system's: that of a killed process is free at once. It is one of the process's, so
that a child does not keep its parent's; threads of one process have a lock of their own besides.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from nbtrack.artifacts import places

_threads: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)  # by database's folder


if hasattr(os, "register_at_fork"):
    # The threads that held them are not in the child.
    os.register_at_fork(after_in_child=_threads.clear)


@contextlib.contextmanager
def only_one(database: Path) -> Iterator[bool]:
    """Be the only one who changes contents elsewhere; yield False if somebody else is.

    Raises
    ------
    OSError
        The file of the lock cannot be made.
    """
    folder = places.make_folder(database)
    threads = _threads[folder]  # the same one is released, also after a fork
    if not threads.acquire(blocking=False):
        yield False
        return
    try:
        with (folder / "uploading.lock").open("ab") as file:
            # Closing the file gives the lock back.
            yield _lock(file.fileno())
    finally:
        threads.release()


def _lock(file: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return _lock_on_windows(file)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # as the system says that somebody has it
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
