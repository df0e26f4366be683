"""A database file as this process uses it: its writer, its stores, and who this process is."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from nbtrack.artifacts import ArtifactStore, SqliteArtifacts, sha256
from nbtrack.db import Reader
from nbtrack.provenance import cells, is_alive, this_environment, this_process
from nbtrack.registry import Registry, SqliteRegistry
from nbtrack.store import Session, SessionKeeper, SqliteStore, Store, Writer
from nbtrack.tracking import notices
from nbtrack.tracking.names import new_id


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
            notebook=cells.notebook[0] if cells.notebook else None,
            environment=this_environment,
            start_ms=time.time_ns() // 1_000_000,
        )
        keeper = SessionKeeper(self.session, is_alive)
        self.writer = Writer(
            path, on_trouble=notices.warn, on_open=keeper.opened, on_idle=keeper.beat
        )
        reader = Reader(path)
        self.store: Store = SqliteStore(self.writer, reader)
        self.artifacts: ArtifactStore = SqliteArtifacts(self.writer, reader)
        self.registry: Registry = SqliteRegistry(self.writer, reader)
        self._stored = 0  # executions that are in the store, or on their way
        self._open_cell: int | None = None  # of these, the one whose end is not
        self._cell_lock = threading.Lock()
        self.has_runs = False  # begun by this process

    def sync_cells(self) -> None:
        """Store the cells that were executed by now.

        Called when a run begins and when a cell ends after that: a file that has no runs gets no
        cells, one that has some gets all of the notebook, in order.
        """
        with self._cell_lock:
            self.has_runs = True
            if self._open_cell is not None and cells.executions[self._open_cell].end_ms is not None:
                cell = cells.executions[self._open_cell]
                self.store.end_cell(cell.execution_id, cell.end_ms or 0, cell.outcome or "")
                self._open_cell = None
            while self._stored < len(cells.executions):
                cell = cells.executions[self._stored]
                digest = sha256(cell.source.encode("utf-8", "surrogatepass"))
                self.store.begin_cell(self.session.session_id, cell, digest)
                if cell.end_ms is None:
                    self._open_cell = self._stored
                self._stored += 1


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


def _cell_ended() -> None:
    """Store how the cell ended, in every file of this process that has runs."""
    with _lock:
        workspaces = [workspace for (pid, _), workspace in _open.items() if pid == os.getpid()]
    for workspace in workspaces:
        if workspace.has_runs:
            workspace.sync_cells()
            workspace.writer.hurry()


cells.on_end.append(_cell_ended)
