"""Runs that go to other trackers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from nbtrack.db import check_file, resolve_path
from nbtrack.errors import ForeignDatabaseError, InvalidParameterError
from nbtrack.tracking.client.archives import Archives
from nbtrack.transfer.exports.database import serving
from nbtrack.transfer.exports.server import export_server
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
        MLflow gives ids of its own: the tag ``nbtrack.run_id`` says which run it was here.

        Parameters
        ----------
        runs
            The runs: ids, beginnings of ids, or names.
        target
            The address of an MLflow server; or a database file of MLflow's (``sqlite:///path``, or
            a path that ends in .db), for which the installed MLflow is started for a while.
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
        >>> report = client.export_mlflow("best", "http://127.0.0.1:5000")  # doctest: +SKIP
        """
        chosen = self._chosen(runs, experiment_names)
        text = str(target)
        if is_address(text):
            return self._to_server(chosen, Http(parse_address(text)), progress)
        place = resolve_path(text)
        if not text.startswith("sqlite:///") and place.suffix.lower() not in _DATABASES:
            raise InvalidParameterError(
                f"Runs cannot be exported to {text!r}.",
                hint="Use the address of a server, http(s)://..., or a database: "
                "sqlite:///mlflow.db.",
            )
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
