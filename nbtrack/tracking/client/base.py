"""What all parts of the client share: the database or server, and the handles of its runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary

from nbtrack.errors import InvalidParameterError
from nbtrack.tracking import later
from nbtrack.tracking.location import Place, default_place, resolve
from nbtrack.tracking.run import ActiveRun
from nbtrack.tracking.workspace import Workspace, is_open, open_workspace
from nbtrack.types import LifecycleStage
from nbtrack.wire import Address

_MAX_HANDLES = 256  # what a client logs to is not looked up again for each point


@dataclass(slots=True)
class _Shared:
    """What all clients of a database have in common, in this process."""

    handles: dict[str, ActiveRun] = field(default_factory=dict)
    trash: set[str] = field(default_factory=set)  # names of experiments that were put there


_shared: WeakKeyDictionary[Workspace, _Shared] = WeakKeyDictionary()


def _place(uri: str | Place) -> Place:
    if isinstance(uri, Address) or (isinstance(uri, Path) and is_open(uri)):
        return uri  # every fit of a notebook comes with one that is in use
    return resolve(str(uri))


class ClientBase:
    """A database or server, and the runs that this process writes to."""

    def __init__(
        self,
        tracking_uri: str | Place | None = None,
        registry_uri: str | Place | None = None,
    ) -> None:
        place = default_place() if tracking_uri is None else _place(tracking_uri)
        if registry_uri is not None and _place(registry_uri) != place:
            raise InvalidParameterError(
                f"The registry {str(_place(registry_uri))!r} is not the database {str(place)!r}.",
                hint="Registered models are where the runs are: leave out registry_uri.",
            )
        self._workspace: Workspace = open_workspace(place)
        shared = _shared.setdefault(self._workspace, _Shared())
        self._handles, self._trash = shared.handles, shared.trash

    @property
    def workspace(self) -> Workspace:
        """The database as this process uses it."""
        return self._workspace

    @property
    def path(self) -> Path:
        """Absolute path of the database.

        Raises
        ------
        InvalidParameterError
            It is a server.
        """
        return self._workspace.path

    @property
    def place(self) -> Place:
        """The path of the database, or the address of the server."""
        return self._workspace.place

    @property
    def tracking_uri(self) -> str:
        """The database, or the server without user and password, as text."""
        return str(self.place)

    def __repr__(self) -> str:
        return f"Client({self.tracking_uri!r})"

    def flush(self, timeout: float = 10.0) -> None:
        """Return when all that was logged by this process is on disk, or on the server.

        Raises
        ------
        StoreError
            It could not be written within `timeout` seconds.
        """
        later.wait(timeout)  # what it still has to log
        self._workspace.flush(timeout)

    def _is_empty(self) -> bool:
        """Return whether there is no database yet, nor anything on its way to it."""
        return self._workspace.is_empty()

    def _id(self, run_id: str) -> str:
        """Return the id of the run that is meant."""
        if not isinstance(run_id, str):
            raise InvalidParameterError(
                f"{run_id!r} is no run.",
                hint="Give an id, the beginning of one (4 characters or more) or a name.",
            )
        return self._workspace.store.resolve_run_id(run_id)

    def handle(self, run_id: str) -> ActiveRun:
        """Return a handle to write to a run with.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is none; it is in the trash.
        """
        run = self._handles.get(run_id) or self._handle_of(self._id(run_id))
        if run.lifecycle_stage == LifecycleStage.DELETED:
            raise InvalidParameterError(
                f"The run {run.run_name} ({run.run_id[:8]}) is in the trash.",
                hint=f"Take it out by client.restore_run({run.run_id!r}).",
            )
        return run

    def _handle_of(self, run_id: str) -> ActiveRun:
        run = self._handles.get(run_id)
        if run is None:
            stored = self._workspace.store.get_run(run_id)
            run = self._keep(ActiveRun.attached(self._workspace, stored))
        return run

    def _keep(self, run: ActiveRun) -> ActiveRun:
        """Remember a handle, so that all who write to the run have the same."""
        self._handles[run.run_id] = run
        if len(self._handles) > _MAX_HANDLES:
            # The oldest go; a copy, because another thread may add one meanwhile.
            for other in list(self._handles)[: _MAX_HANDLES // 2]:
                self._handles.pop(other, None)
        return run

    def _look_again(self) -> None:
        """See whether runs are in the trash now, or no longer."""
        for run in list(self._handles.values()):
            run.lifecycle_stage = self._workspace.store.get_run(run.run_id).info.lifecycle_stage
