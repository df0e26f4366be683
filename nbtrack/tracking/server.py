"""A tracking server as this process uses it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nbtrack.artifacts import PutFiles
from nbtrack.artifacts.rest import RestArtifacts
from nbtrack.db import Loggable
from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.models import write_files
from nbtrack.provenance import is_alive
from nbtrack.provenance.cells import current_cell
from nbtrack.registry import RunUri
from nbtrack.registry.rest import RestRegistry
from nbtrack.store import NewRun, Writer, records
from nbtrack.store.outbox import Begun, Handler
from nbtrack.store.rest import CELL, ENVIRONMENT, RestStore
from nbtrack.store.rest_models import LoggedModels
from nbtrack.store.sender import Sender
from nbtrack.tracking import notices
from nbtrack.tracking.modelfiles import JOURNALED, ModelFiles
from nbtrack.tracking.workspace import Workspace
from nbtrack.types import ArtifactInfo, CellExecution, ModelInfo, ModelVersion
from nbtrack.wire import Address, Http

HISTORY_TAG = "mlflow.log-model.history"


class ServerWorkspace(Workspace):
    """A tracking server. What a database would keep besides becomes files of the runs."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._http = Http(address)
        handlers: dict[type[Loggable], Handler] = {
            ModelFiles: self._send_model,
            Begun: self._send_begin,
        }
        self.sender = Sender(
            self._http,
            session=lambda: self.session,
            is_alive=is_alive,
            on_trouble=notices.warn,
            handlers=handlers,
            kinds=JOURNALED,
        )
        self._store = RestStore(self._http, self.sender, self._extras)
        self._artifacts = RestArtifacts(
            self._http, self.sender, self._store.artifact_uri, self._store.models_of
        )
        self._registry = RestRegistry(self._http, self.sender, self._store)
        handlers[records.UpdateRun] = self._store.send_update
        handlers[records.LogInputs] = self._store.send_inputs
        handlers[PutFiles] = self._artifacts.send
        self.store, self.artifacts, self.registry = self._store, self._artifacts, self._registry

    @property
    def path(self) -> Path:
        """Raise: there is no file."""
        raise self._no_file()

    @property
    def writer(self) -> Writer:
        """Raise: there is no file."""
        raise self._no_file()

    def _no_file(self) -> InvalidParameterError:
        return InvalidParameterError(
            f"Only a database file has this, and {self.place} is a tracking server.",
            hint="SQL, gc, check, backup, vacuum and merge need a file: nbtrack.Client(path), or "
            "--db PATH.",
        )

    def is_empty(self) -> bool:
        """Return False: a server is there, or it cannot be asked."""
        return False

    def flush(self, timeout: float = 10.0) -> None:
        """Return when all that was logged by this process is on the server."""
        self.sender.flush(timeout)

    def upload(self, timeout: float | None) -> int:
        """Return 0: what was sent is where the server keeps it."""
        self.sender.flush(timeout or float("inf"))
        return 0

    def hurry(self) -> None:
        """Have what waits sent soon."""
        self.sender.hurry()

    def close(self) -> None:
        """Send what waits; what cannot be sent stays for the next process."""
        self.sender.close()

    def begin_run(self, run: NewRun) -> str:
        """Begin a run; its id comes from the server."""
        run_id = self.store.create_run(run)
        self.has_runs = True
        cell = current_cell()
        self._store.begun(run_id, self.session.session_id, None if cell is None else cell.source)
        return run_id

    def keep_model(self, model: ModelFiles) -> None:
        """Store the files of a model."""
        self.sender.submit(model)

    def sync_cells(self) -> None:
        """Do nothing: the source of a cell went along with the beginning of its runs."""

    def locate(self, version: ModelVersion) -> RunUri:
        """Return the run or the logged model that has the files of a version."""
        return self._registry.locate(version)

    # -- in the sender's thread

    def _send_begin(self, record: Begun) -> None:
        """Keep cell and environment of a run as files; of another process only the cell."""
        if record.cell:
            self._artifacts.write(record.run_id, CELL, record.cell.encode("utf-8", "replace"))
        if record.session_id == self.session.session_id:
            facts = {**self.session.environment(), "host": self.session.host}
            if self.session.notebook is not None:
                facts["notebook"] = self.session.notebook
            self._artifacts.write(record.run_id, ENVIRONMENT, json.dumps(facts, indent=2).encode())

    def _send_model(self, record: ModelFiles) -> None:
        """Make a logged model of a model; where the server has none, files of the run."""
        snapshot = record.snapshot
        model = ModelInfo(
            record.model_id,
            record.run_id,
            record.artifact_path,
            snapshot.flavor,
            snapshot.model_class,
            snapshot.size_bytes,
            created_ms=0,
        )
        models = LoggedModels(self._http)
        experiment_id = self._store.get_run(record.run_id).info.experiment_id
        model_id = models.make(model, experiment_id)
        files = write_files(
            snapshot,
            run_id=record.run_id,
            artifact_path=record.artifact_path,
            model_id=model_id or record.model_id,
            sealed=record.is_own,
        )
        if model_id is None:
            for path, data in files.items():
                self._artifacts.write(record.run_id, path, data)
            self._note_model(record)
            return
        for path, data in files.items():
            name = path.removeprefix(f"{record.artifact_path}/")
            self._artifacts.write(model_id, name, data)
        models.finish(model_id, record.run_id)

    def _note_model(self, record: ModelFiles) -> None:
        """Note in a tag of the run, as MLflow did before logged models, that it has a model."""
        tags = self._store.get_run(record.run_id).data.tags
        try:
            history = json.loads(tags.get(HISTORY_TAG, "[]"))
        except ValueError:
            history = []
        entry = {
            "run_id": record.run_id,
            "artifact_path": record.artifact_path,
            "flavors": {record.snapshot.flavor: dict(record.snapshot.native)},
            "model_uuid": record.model_id,
        }
        kept = [old for old in history if old.get("artifact_path") != record.artifact_path]
        value = json.dumps([*kept, entry])
        body = {"run_id": record.run_id, "key": HISTORY_TAG, "value": value}
        self._http.call("POST", "runs/set-tag", body)

    # -- reading

    def _extras(
        self, run_id: str
    ) -> tuple[Sequence[ArtifactInfo], CellExecution | None, Mapping[str, Any]]:
        files = self._artifacts.list(run_id)
        paths = {file.path for file in files}
        cell = None
        if CELL in paths:
            source = self._artifacts.read(run_id, CELL).decode("utf-8", "replace")
            cell = CellExecution("", None, None, source, 0)
        environment: Mapping[str, Any] = {}
        if ENVIRONMENT in paths:
            try:
                environment = json.loads(self._artifacts.read(run_id, ENVIRONMENT))
            except (ValueError, RecursionError, NotFoundError):
                notices.warn(f"{ENVIRONMENT} of the run {run_id} is no JSON.")
        return files, cell, environment
