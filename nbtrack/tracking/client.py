"""The explicit client: everything about one database, with no hidden state."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from nbtrack.db import resolve_path
from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.models import load_directory
from nbtrack.provenance.cells import current_cell
from nbtrack.registry import ModelUri, RunUri, parse
from nbtrack.settings import settings
from nbtrack.store import NewRun
from nbtrack.tracking.events import announce
from nbtrack.tracking.names import new_id, new_name
from nbtrack.tracking.run import MODEL_PATH, ActiveRun
from nbtrack.tracking.workspace import Workspace, open_workspace
from nbtrack.types import (
    ArtifactInfo,
    Experiment,
    Metric,
    MetricSeries,
    ModelVersion,
    RegisteredModel,
    Run,
    RunDetail,
    RunQuery,
    RunStatus,
)


class Client:
    """Runs and models of one database.

    Clients of the same file share one writer. Runs may be named, wherever one is asked for, by
    their id, by the beginning of it (4 characters or more), or by their name.

    Parameters
    ----------
    tracking_uri
        A path or ``sqlite:///path``; default: the setting ``db``, then the nearest
        ``nbtrack.db`` from the working directory upwards.

    Raises
    ------
    InvalidParameterError
        The URI is none that nbtrack can use.

    Examples
    --------
    >>> import tempfile
    >>> client = Client(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with client.start_run("first") as run:
    ...     run.log_metric("accuracy", 0.9)
    >>> client.get_run("first").data.metrics
    {'accuracy': 0.9}
    """

    def __init__(self, tracking_uri: str | Path | None = None) -> None:
        uri = settings.db if tracking_uri is None else str(tracking_uri)
        self._workspace: Workspace = open_workspace(resolve_path(uri))

    @property
    def workspace(self) -> Workspace:
        """The database as this process uses it."""
        return self._workspace

    @property
    def path(self) -> Path:
        """Absolute path of the database."""
        return self._workspace.path

    def __repr__(self) -> str:
        return f"Client({str(self.path)!r})"

    # -- runs

    def start_run(
        self,
        run_name: str | None = None,
        *,
        experiment_name: str | None = None,
        parent_run_id: str | None = None,
        tags: Mapping[str, object] | None = None,
    ) -> ActiveRun:
        """Begin a run and return its handle; nothing is waited for.

        Parameters
        ----------
        run_name
            Default: a name such as ``brave-otter-12``.
        experiment_name
            Default: the setting ``experiment``. It is made if there is none of that name.
        parent_run_id
            The run that this one is a part of.
        tags
            First tags.
        """
        cell = current_cell()
        run = ActiveRun(
            self._workspace,
            run_id=new_id(),
            run_name=run_name or new_name(),
            experiment_name=experiment_name or settings.experiment,
            execution_id=None if cell is None else cell.execution_id,
            start_time=time.time_ns() // 1_000_000,
        )
        session = self._workspace.session
        self._workspace.sync_cells()
        self._workspace.store.create_run(
            NewRun(
                run_id=run.run_id,
                run_name=run.run_name,
                experiment_name=run.experiment_name,
                status=RunStatus.RUNNING,
                start_time=run.start_time,
                user_id=session.user_id,
                session_id=session.session_id,
                parent_run_id=parent_run_id,
                execution_id=run.execution_id,
            )
        )
        run.set_tags(tags or {})
        announce(run)
        return run

    def get_run(self, run: str) -> Run:
        """Return a run.

        Raises
        ------
        NotFoundError, InvalidParameterError
            No run, or more than one, is meant.
        """
        return self._workspace.store.get_run(self._workspace.store.resolve_run_id(run))

    def get_run_detail(self, run: str) -> RunDetail:
        """Return a run with its data, artifacts, cell and environment."""
        return self._workspace.store.get_run_detail(self._workspace.store.resolve_run_id(run))

    def search_runs(
        self,
        *,
        experiment_names: Sequence[str] | None = None,
        runs: Sequence[str] | None = None,
        max_results: int = 1000,
    ) -> list[Run]:
        """Return runs, newest first.

        Parameters
        ----------
        experiment_names
            Only runs of these; default: all.
        runs
            Only these.
        max_results
            At least 1.

        Raises
        ------
        NotFoundError, InvalidParameterError
            A name in `experiment_names` or `runs` is none; `max_results` is below 1.
        """
        if max_results < 1:
            raise InvalidParameterError(f"max_results is {max_results}; it must be 1 or more.")
        store = self._workspace.store
        if not self.path.exists() and runs is None and experiment_names is None:
            self.flush()
            if not self.path.exists():
                return []
        ids = None
        if experiment_names is not None:
            ids = []
            for name in experiment_names:
                found = store.get_experiment_by_name(name)
                if found is None:
                    known = ", ".join(x.name for x in store.search_experiments()[:10])
                    raise NotFoundError(
                        f"There is no experiment {name!r}.", hint=f"There is: {known}."
                    )
                ids.append(found.experiment_id)
        return store.search_runs(
            RunQuery(
                experiment_ids=ids,
                run_ids=None if runs is None else [store.resolve_run_id(run) for run in runs],
                max_results=max_results,
            )
        )

    def get_metric_history(self, run: str, key: str) -> list[Metric]:
        """Return all points of a metric in the order of their steps; empty for an unknown one."""
        store = self._workspace.store
        return [
            Metric(key, value, timestamp, step)
            for series in store.metric_series([store.resolve_run_id(run)], [key])
            for step, timestamp, value in zip(
                series.steps.tolist(),
                series.timestamps.tolist(),
                series.values.tolist(),
                strict=True,
            )
        ]

    def metric_series(
        self, runs: Sequence[str], key: str, *, max_points: int | None = None
    ) -> list[MetricSeries]:
        """Return one metric of several runs, with at most about `max_points` points each."""
        store = self._workspace.store
        ids = [store.resolve_run_id(run) for run in runs]
        return store.metric_series(ids, [key], max_points=max_points)

    def search_experiments(self) -> list[Experiment]:
        """Return all experiments, newest first."""
        return self._workspace.store.search_experiments()

    def flush(self, timeout: float = 10.0) -> None:
        """Return when all that was logged by this process is on disk.

        Raises
        ------
        StoreError
            The database could not be written within `timeout` seconds.
        """
        self._workspace.writer.flush(timeout)

    # -- artifacts and models

    def list_artifacts(self, run: str, path: str = "") -> list[ArtifactInfo]:
        """Return the files of a run at or below a path."""
        store = self._workspace.store
        return self._workspace.artifacts.list(store.resolve_run_id(run), path)

    def download_artifacts(self, run: str, path: str, dst_path: str | Path) -> Path:
        """Write an artifact, or all below a path, into a folder; return where it is.

        Raises
        ------
        NotFoundError, IntegrityError
            There is none; its bytes are damaged.
        """
        run_id = self._workspace.store.resolve_run_id(run)
        return self._workspace.artifacts.download(run_id, path, Path(dst_path))

    def register_model(
        self, model_uri: str, name: str, *, artifact_path: str = MODEL_PATH
    ) -> ModelVersion:
        """Make the next version of a registered model; the name is made if it is new.

        Parameters
        ----------
        model_uri
            ``runs:/<run>/model``, or just a run: its id, the beginning of one, or its name.
        name
            Name of the registered model.
        artifact_path
            Where the model is in the run, if `model_uri` is just a run.

        Raises
        ------
        InvalidParameterError, NotFoundError
            The name or the URI cannot be used; the run has no such model.
        """
        target = parse(model_uri) or RunUri(model_uri, artifact_path)
        if isinstance(target, ModelUri):
            raise InvalidParameterError(
                f"{model_uri!r} is registered already.", hint="Give runs:/<run id>/model."
            )
        return self._workspace.registry.register(
            name,
            run_id=self._workspace.store.resolve_run_id(target.run_id),
            artifact_path=target.path,
            user_id=self._workspace.session.user_id,
        )

    def search_registered_models(self) -> list[RegisteredModel]:
        """Return all registered models with their versions."""
        if not self.path.exists():
            self.flush()
            if not self.path.exists():
                return []
        return self._workspace.registry.search_models()

    def load_model(self, model_uri: str, *, trust: bool = False) -> object:
        """Return a model as it was when it was logged.

        Parameters
        ----------
        model_uri
            ``models:/<name>/<version>``, ``models:/<name>/latest``, ``models:/<name>@<alias>``,
            ``runs:/<run>/model``, or the path of a directory with an MLmodel file.
        trust
            Load it although it was not saved by this user on this machine. Loading a model can
            run any code that its maker put in.

        Raises
        ------
        NotFoundError, InvalidParameterError
            There is no such model; the URI cannot be read.
        UntrustedModelError
            It is somebody else's, or was changed, and `trust` was not given.
        IntegrityError
            Its bytes are damaged.
        """
        target = parse(model_uri)
        if target is None:
            return load_directory(Path(model_uri), trust=trust)
        called = model_uri
        if isinstance(target, ModelUri):
            version = self._workspace.registry.get_version(target.name, target.version)
            source = parse(version.source)
            if not isinstance(source, RunUri):
                raise NotFoundError(f"{called} points to {version.source!r}, which is no run.")
            target = source
        with tempfile.TemporaryDirectory(prefix="nbtrack-") as folder:
            directory = self.download_artifacts(target.run_id, target.path, folder)
            return load_directory(directory, trust=trust, called=called)
