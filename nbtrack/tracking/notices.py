"""Warnings of nbtrack's own: each cause is told once, and never by an exception.

In a notebook they wait for the end of the cell, so that they are not printed from the writer's
thread under whatever cell runs by then. Elsewhere they are ordinary Python warnings.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable


class NbtrackWarning(UserWarning):
    """Something could not be tracked; the user's own work is not affected."""


_lock = threading.Lock()
_told: set[str] = set()
_waiting: list[str] = []
_deferred = False


def warn(message: str, *, cause: str | None = None) -> None:
    """Tell the user something, once.

    Parameters
    ----------
    message
        A sentence, perhaps with a hint on the next line.
    cause
        What makes it the same as an earlier one; default: the message itself.
    """
    with _lock:
        if (cause or message) in _told:
            return
        _told.add(cause or message)
        if _deferred:
            _waiting.append(message)
            return
    _show(message)


def defer(on: bool) -> None:
    """Hold warnings back until `show_waiting` (a notebook), or show them at once again."""
    global _deferred  # noqa: PLW0603 - one switch per process, as warnings are
    with _lock:
        _deferred = on


def show_waiting(show: Callable[[str], None]) -> None:
    """Hand over the warnings that waited, in order."""
    with _lock:
        messages, _waiting[:] = list(_waiting), []
    for message in messages:
        show(message)


def forget() -> None:
    """Let every cause be told again."""
    with _lock:
        _told.clear()
        _waiting.clear()


def _show(message: str) -> None:
    try:
        warnings.warn(f"nbtrack: {message}", NbtrackWarning, stacklevel=3)
    except Warning:
        # The user turned warnings into errors: theirs, not ours, which must not stop a fit.
        print(f"nbtrack: {message}", file=sys.stderr)  # noqa: T201 - there is no other way left
