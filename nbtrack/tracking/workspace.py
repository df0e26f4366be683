"""A database file as this process uses it: its writer, its stores, and who this process is."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from nbtrack.artifacts import ArtifactStore, SqliteArtifacts, Uploads, sha256
from nbtrack.db import Reader
from nbtrack.errors import NbtrackError
from nbtrack.provenance import cells, is_alive, this_environment, this_process
from nbtrack.registry import Registry, SqliteRegistry
from nbtrack.settings import settings
from nbtrack.store import Session, SqliteStore, Store, Writer, search
from nbtrack.tracking import notices
from nbtrack.tracking.modelfiles import JOURNALED
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
    uploads
        What brings long contents elsewhere.
    session
        This process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _check_settings()
        self.begin_session()
        self.writer = Writer(
            path,
            session=lambda: self.session,
            is_alive=is_alive,
            on_trouble=notices.warn,
            kinds=JOURNALED,
        )
        reader = Reader(path, on_open=search.register)
        self.store: Store = SqliteStore(self.writer, reader, is_alive)
        self.artifacts: ArtifactStore = SqliteArtifacts(
            self.writer, reader, lambda: self.session.session_id
        )
        self.uploads = Uploads(
            path, self.writer, reader, lambda message, cause: notices.warn(message, cause=cause)
        )
        self.registry: Registry = SqliteRegistry(self.writer, reader)
        self._stored = 0  # executions that are in the store, or on their way
        self._open_cell: int | None = None  # of these, the one whose end is not
        self._cell_lock = threading.Lock()
        self.has_runs = False  # begun by this process

    def begin_session(self) -> None:
        """Say who this process is: at the start, and anew after a fork."""
        process = this_process()
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

    def sync_cells(self) -> None:
        """Store the cells that were executed by now.

        Called when a run begins and when a cell ends after that: a file that has no runs gets no
        cells, one that has some gets all of the notebook, in order.
        """
        with self._cell_lock:
            if not self.has_runs:
                self.uploads.resume()
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


def _check_settings() -> None:
    """Tell what the environment says of artifacts and cannot be: a fit would not look at it."""
    for name in ("artifact_file_mb", "artifact_location"):
        try:
            getattr(settings, name)
        except NbtrackError as error:
            notices.warn(
                f"{error.message} Artifacts are kept beside the database.\nhint: {error.hint}",
                cause=name,
            )


_lock = threading.Lock()
_open: dict[Path, Workspace] = {}


def open_workspace(path: Path) -> Workspace:
    """Return the workspace of a file: one per process and file, so that there is one writer."""
    with _lock:
        workspace = _open.get(path)
        if workspace is None:
            workspace = _open[path] = Workspace(path)
        return workspace


def flush_workspace(path: Path) -> None:
    """Have what this process logged to a file committed, if it uses that file at all.

    Raises
    ------
    StoreError
        It could not be written.
    """
    with _lock:
        workspace = _open.get(path)
    if workspace is not None:
        workspace.writer.flush()


def _after_fork_in_child() -> None:
    _lock.release()
    # The child's runs are its own: they are closed when it dies, not when its parent does.
    for workspace in _open.values():
        workspace.begin_session()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire,
        after_in_parent=_lock.release,
        after_in_child=_after_fork_in_child,
    )


def _cell_ended() -> None:
    """Store how the cell ended, in every file of this process that has runs."""
    with _lock:
        workspaces = list(_open.values())
    for workspace in workspaces:
        if workspace.has_runs:
            workspace.sync_cells()
            workspace.writer.hurry()


cells.on_end.append(_cell_ended)
