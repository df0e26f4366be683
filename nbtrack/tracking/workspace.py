"""A database file, or a server, as this process uses it: its stores, and who this process is."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path

from nbtrack.artifacts import ArtifactStore, SqliteArtifacts, Uploads, sha256
from nbtrack.db import Reader
from nbtrack.errors import NbtrackError, NotFoundError
from nbtrack.provenance import cells, is_alive, this_environment, this_process
from nbtrack.registry import Registry, RunUri, SqliteRegistry, parse
from nbtrack.settings import settings
from nbtrack.store import NewRun, Session, SqliteStore, Store, Writer, search
from nbtrack.tracking import notices
from nbtrack.tracking.location import Place
from nbtrack.tracking.modelfiles import JOURNALED, ModelFiles
from nbtrack.tracking.names import new_id
from nbtrack.types import ModelVersion
from nbtrack.wire import Address


class Workspace(ABC):
    """Everything one process has of one database file or server. Use `open_workspace`.

    Parameters
    ----------
    place
        The file; it is made by the first thing that is written. Or the server.

    Attributes
    ----------
    store, artifacts, registry
        The contracts of the layers below.
    session
        This process.
    has_runs
        Whether this process has begun some there.
    """

    store: Store
    artifacts: ArtifactStore
    registry: Registry

    def __init__(self, place: Place) -> None:
        self.place = place
        self.has_runs = False
        self.begin_session()

    @property
    @abstractmethod
    def path(self) -> Path:
        """The file.

        Raises
        ------
        InvalidParameterError
            It is a server.
        """

    @property
    @abstractmethod
    def writer(self) -> Writer:
        """What writes to the file; raises as `path`."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Return whether there is nothing yet, nor anything on its way there."""

    @abstractmethod
    def flush(self, timeout: float = 10.0) -> None:
        """Return when all that was logged by this process has arrived.

        Raises
        ------
        StoreError
            It could not be written within `timeout` seconds.
        """

    @abstractmethod
    def upload(self, timeout: float | None) -> int:
        """Bring long contents to their address now; return how many are still waiting.

        Raises
        ------
        StoreError
            The database cannot be read or written.
        """

    @abstractmethod
    def hurry(self) -> None:
        """Have what waits written soon, without blocking."""

    @abstractmethod
    def close(self) -> None:
        """Write what waits, and take nothing more."""

    @abstractmethod
    def begin_run(self, run: NewRun) -> str:
        """Begin a run, with the cell it is in, and return its id.

        Raises
        ------
        StoreError
            A server, which gives the id, cannot be asked.
        """

    @abstractmethod
    def keep_model(self, model: ModelFiles) -> None:
        """Store the files of a model; returns at once."""

    @abstractmethod
    def sync_cells(self) -> None:
        """Store the cells that were executed by now."""

    @abstractmethod
    def locate(self, version: ModelVersion) -> RunUri:
        """Return where the files of a registered version are.

        Raises
        ------
        NotFoundError
            They are below no run, and below no logged model.
        """

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


class FileWorkspace(Workspace):
    """A database file."""

    artifacts: SqliteArtifacts

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path
        _check_settings()
        self._writer = Writer(
            path,
            session=lambda: self.session,
            is_alive=is_alive,
            on_trouble=notices.warn,
            kinds=JOURNALED,
        )
        reader = Reader(path, on_open=search.register)
        self.store = SqliteStore(self.writer, reader, is_alive)
        self.artifacts = SqliteArtifacts(self.writer, reader, lambda: self.session.session_id)
        self.uploads = Uploads(
            path, self.writer, reader, lambda message, cause: notices.warn(message, cause=cause)
        )
        self.registry = SqliteRegistry(self.writer, reader)
        self._stored = 0  # executions that are in the store, or on their way
        self._open_cell: int | None = None  # of these, the one whose end is not
        self._cell_lock = threading.Lock()

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def writer(self) -> Writer:
        """What writes to the file."""
        return self._writer

    def is_empty(self) -> bool:
        """Return whether there is no file yet, nor anything on its way to it."""
        if not self.path.exists():
            self.flush()
        return not self.path.exists()

    def flush(self, timeout: float = 10.0) -> None:
        """Return when all that was logged by this process is on disk."""
        self.writer.flush(timeout)

    def upload(self, timeout: float | None) -> int:
        """Bring long contents to their address now; return how many are still waiting."""
        return self.uploads.wait(timeout)

    def hurry(self) -> None:
        """Have what waits written soon."""
        self.writer.hurry()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self.writer.close()

    def begin_run(self, run: NewRun) -> str:
        """Begin a run, and store the cells before it."""
        self.sync_cells()
        self.artifacts.expect_none(run.run_id)
        return self.store.create_run(run)

    def keep_model(self, model: ModelFiles) -> None:
        """Store the files of a model."""
        self.writer.submit(model)

    def locate(self, version: ModelVersion) -> RunUri:
        """Return the run that a version is from."""
        source = parse(version.source)
        if not isinstance(source, RunUri):
            raise NotFoundError(
                f"models:/{version.name}/{version.version} points to {version.source!r}, "
                "which is no run."
            )
        return source

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
_open: dict[Place, Workspace] = {}


def open_workspace(place: Place) -> Workspace:
    """Return the workspace of a place: one per process and place, so that there is one writer."""
    with _lock:
        workspace = _open.get(place)
        if workspace is None:
            if isinstance(place, Address):
                from nbtrack.tracking.server import ServerWorkspace

                workspace = ServerWorkspace(place)
            else:
                workspace = FileWorkspace(place)
            _open[place] = workspace
        return workspace


def is_open(place: Path) -> bool:
    """Return whether this process uses a file by this very path."""
    return place in _open


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
        workspace.flush()


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
            workspace.hurry()


cells.on_end.append(_cell_ended)
