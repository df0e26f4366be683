"""Which database the functions of ``nbtrack.*`` use; light, so that the extension can say it."""

from __future__ import annotations

import threading
from pathlib import Path

from nbtrack.db import resolve_path
from nbtrack.settings import settings

_lock = threading.Lock()
_chosen: list[Path] = []


def current_path() -> Path:
    """Return the database in use; it is looked for once, and stays the same after a chdir."""
    with _lock:
        if not _chosen:
            _chosen.append(resolve_path(settings.db))
        return _chosen[0]


def choose(uri: str) -> None:
    """Use another database; empty: look for one again.

    Raises
    ------
    InvalidParameterError
        The URI is none that nbtrack can use.
    """
    path = resolve_path(uri or settings.db)
    with _lock:
        _chosen[:] = [path]
