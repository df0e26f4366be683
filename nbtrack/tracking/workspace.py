"""A database file as this process uses it: its writer, its stores, and who this process is."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nbtrack.artifacts import ArtifactStore, SqliteArtifacts
from nbtrack.db import Reader
from nbtrack.provenance import environment, is_alive, this_process
from nbtrack.registry import Registry, SqliteRegistry
from nbtrack.store import Session, SessionKeeper, SqliteStore, Store, Writer
from nbtrack.tracking import notices
from nbtrack.tracking.names import new_id

if TYPE_CHECKING:
    from nbtrack.tracking.run import ActiveRun

_notebook: list[str] = []  # what the host says the process runs, if anything


class Workspace:
    """Everything one process has of one database file. Use `open_workspace`.

    Parameters
    ----------
    path
        The file; it is made by the first thing that is written.

    Attributes
    ----------
    store, artifacts, registry
        The contracts of the layers below.
    session
        This process.
    listeners
        Called with a run whenever it changed, in the thread that changed it; they must not raise.
    """

    def __init__(self, path: Path) -> None:
        process = this_process()
        self.path = path
        self.session = Session(
            session_id=new_id(),
            user_id=process.user_id,
            host=process.host,
            machine=process.machine,
            pid=process.pid,
            process_start=process.process_start,
            notebook=_notebook[0] if _notebook else None,
            environment=environment,
            start_ms=time.time_ns() // 1_000_000,
        )
        self.listeners: list[Callable[[ActiveRun], None]] = []
        keeper = SessionKeeper(self.session, is_alive)
        self.writer = Writer(
            path, on_trouble=notices.warn, on_open=keeper.opened, on_idle=keeper.beat
        )
        reader = Reader(path)
        self.store: Store = SqliteStore(self.writer, reader)
        self.artifacts: ArtifactStore = SqliteArtifacts(self.writer, reader)
        self.registry: Registry = SqliteRegistry(self.writer, reader)


_lock = threading.Lock()
_open: dict[tuple[int, Path], Workspace] = {}


def open_workspace(path: Path) -> Workspace:
    """Return the workspace of a file: one per process and file, so that there is one writer."""
    key = (os.getpid(), path)
    with _lock:
        workspace = _open.get(key)
        if workspace is None:
            workspace = _open[key] = Workspace(path)
        return workspace


def set_notebook(path: str | None) -> None:
    """Tell which notebook or script this process runs; for workspaces opened from now on."""
    _notebook[:] = [] if path is None else [path]
