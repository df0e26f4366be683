"""Runs that go to other trackers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from nbtrack.db import check_file, resolve_path
from nbtrack.errors import ForeignDatabaseError, InvalidParameterError
from nbtrack.provenance import is_alive
from nbtrack.tracking.client.archives import Archives
from nbtrack.tracking.modelfiles import JOURNALED
from nbtrack.transfer.exports.database import serving
from nbtrack.transfer.exports.mlruns import export_mlruns
from nbtrack.transfer.exports.server import export_server
from nbtrack.transfer.imports.detect import source_path
from nbtrack.transfer.report import MergeReport
from nbtrack.wire import Http, is_address, parse_address

_DATABASES = (".db", ".sqlite", ".sqlite3")


class Exports(Archives):
    """A database, and other trackers."""

    def export_mlflow(
        self,
        runs: str | Sequence[str],
        target: str | Path,
        *,
        experiment_names: Sequence[str] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> MergeReport:
        """Bring some runs to MLflow; again brings only what is new.

        Params, all points of metrics, tags, datasets, artifacts, models, times and states come
        along, their children, and the registered versions of their models with stages and aliases.
        In a folder runs keep their ids; a server gives its own, and the tag ``nbtrack.run_id`` says
        which run it was here.

        Parameters
        ----------
        runs
            The runs: ids, beginnings of ids, or names.
        target
            The address of an MLflow server; a folder of MLflow's (``mlruns``), which is made if it
            is not there; or a database file of MLflow's (``sqlite:///path``, or a path that ends
            in .db), for which the installed MLflow is started for a while.
        experiment_names
            Also all runs of these experiments that are not in the trash.
        progress
            Called again and again with how many runs are done, and of how many.

        Returns
        -------
        MergeReport
            What was brought, by the ids that it has here, and what could not be.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such run or experiment; nothing was named; the target is none.
        StoreError
            The server cannot be asked. What has arrived stays; again goes on with the rest.
        MissingPackageError
            MLflow is not installed, which a database file needs.

        Examples
        --------
        >>> import tempfile
        >>> from nbtrack import Client
        >>> client = Client(tempfile.mkdtemp() + "/nbtrack.db")
        >>> with client.start_run("best") as run:
        ...     run.log_metric("accuracy", 0.9)
        >>> len(client.export_mlflow("best", tempfile.mkdtemp() + "/mlruns").added)
        1
        """
        chosen = self._chosen(runs, experiment_names)
        text = str(target)
        if is_address(text):
            return self._to_server(chosen, Http(parse_address(text)), progress)
        scheme = text.partition("://")[0] if "://" in text else ""
        if scheme not in {"", "file", "sqlite"}:
            raise InvalidParameterError(
                f"Runs cannot be exported to {text!r}.",
                hint="Use the address of a server, http(s)://..., a folder, or a database: "
                "sqlite:///mlflow.db.",
            )
        if scheme != "sqlite" and Path(text).suffix.lower() not in _DATABASES:
            self.flush()
            folder = source_path(text)
            return export_mlruns(
                self.path, chosen, folder, is_alive=is_alive, kinds=JOURNALED, progress=progress
            )
        place = resolve_path(text)
        self._refuse_ours(place)
        with serving(place) as http:
            return self._to_server(chosen, http, progress)

    def _to_server(
        self, chosen: Sequence[str], http: Http, progress: Callable[[int, int], None] | None
    ) -> MergeReport:
        if http.address == self.place:
            raise InvalidParameterError(
                f"The runs are at {http.address} already.", hint="Name another server."
            )
        workspace = self._workspace
        return export_server(
            workspace.store,
            workspace.artifacts,
            workspace.registry,
            chosen,
            http,
            progress=progress,
        )

    def _refuse_ours(self, place: Path) -> None:
        """Refuse a database of nbtrack's: MLflow would take it for a damaged one of its own."""
        if not place.exists() or not place.stat().st_size:
            return
        with contextlib.suppress(ForeignDatabaseError):
            check_file(place)
            raise InvalidParameterError(
                f"{str(place)!r} is a database of nbtrack's, and not of MLflow's.",
                hint="client.export brings runs to one of these; mlflow.db would be a new file.",
            )
