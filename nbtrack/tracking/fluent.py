"""The functions of ``nbtrack.*``: one-liners over a client, and the run that is active.

The active runs are a stack in a context variable: each thread and each async task has its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from nbtrack.errors import InvalidParameterError
from nbtrack.settings import settings
from nbtrack.tracking.client import Client
from nbtrack.tracking.location import choose, current_path
from nbtrack.tracking.run import ActiveRun
from nbtrack.types import ModelVersion, Run, RunStatus

if TYPE_CHECKING:
    import pandas as pd

_active: ContextVar[tuple[ActiveRun, ...]] = ContextVar("nbtrack_active_runs", default=())


def default_client() -> Client:
    """Return the client that the functions of ``nbtrack.*`` use."""
    return Client(current_path())


def set_tracking_uri(uri: str | Path) -> None:
    """Choose the database of the functions of ``nbtrack.*``.

    Parameters
    ----------
    uri
        A path or ``sqlite:///path``; empty: choose again as at the start.

    Raises
    ------
    InvalidParameterError
        The URI is none that nbtrack can use.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    """
    choose(str(uri))


def get_tracking_uri() -> str:
    """Return the absolute path of the database that is in use.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.get_tracking_uri().endswith(".db")
    True
    """
    return str(current_path())


def set_experiment(name: str) -> None:
    """Choose the experiment of new runs; it is made by the first of them.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.set_experiment("Default")
    """
    if not name.strip():
        raise InvalidParameterError("An experiment needs a name.")
    settings.experiment = name


def start_run(
    run_name: str | None = None,
    *,
    nested: bool = False,
    tags: Mapping[str, object] | None = None,
) -> ActiveRun:
    """Begin a run and make it the active one.

    Parameters
    ----------
    run_name
        Default: a name such as ``brave-otter-12``.
    nested
        Begin it as a part of the run that is active; otherwise none may be.
    tags
        First tags.

    Returns
    -------
    ActiveRun
        As a context manager it ends itself.

    Raises
    ------
    InvalidParameterError
        A run is active and `nested` was not given.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run("by hand"):
    ...     nbtrack.log_metric("loss", 0.5)
    """
    stack = _open_runs()
    if stack and not nested:
        raise InvalidParameterError(
            f"The run {stack[-1].run_name} ({stack[-1].run_id[:8]}) is still active.",
            hint="End it by nbtrack.end_run(), or begin this one with nested=True.",
        )
    parent = stack[-1].run_id if stack else None
    run = default_client().start_run(run_name, parent_run_id=parent, tags=tags)
    _active.set((*stack, run))
    return run


def active_run() -> ActiveRun | None:
    """Return the run begun last by `start_run` in this thread or task and not ended, or None.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.active_run() is None
    True
    """
    stack = _open_runs()
    return stack[-1] if stack else None


def end_run(status: str = RunStatus.FINISHED) -> None:
    """End the active run; without one, do nothing.

    Parameters
    ----------
    status
        FINISHED, FAILED or KILLED.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.end_run()
    """
    run = active_run()
    if run is not None:
        run.end(status)


def _open_runs() -> tuple[ActiveRun, ...]:
    # A run that was ended by its own `with` or `end()` is off the stack from then on.
    return tuple(run for run in _active.get() if run.end_time is None)


def _run_to_log_to() -> ActiveRun:
    return active_run() or start_run()


def log_param(key: str, value: object) -> None:
    """Set a param of the active run; one is begun if there is none.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_param("alpha", 0.1)
    """
    _run_to_log_to().log_param(key, value)


def log_params(params: Mapping[str, object]) -> None:
    """Set params of the active run; one is begun if there is none.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_params({"alpha": 0.1, "beta": 2})
    """
    _run_to_log_to().log_params(params)


def log_metric(key: str, value: float, step: int = 0, timestamp: int | None = None) -> None:
    """Add a point to a metric of the active run; one is begun if there is none.

    Parameters
    ----------
    value
        Anything that `float` takes.
    step
        Place of the point.
    timestamp
        Milliseconds since 1970 UTC; default: now.

    Raises
    ------
    InvalidParameterError
        The value is no number.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_metric("loss", 0.5, step=3)
    """
    _run_to_log_to().log_metric(key, value, step, timestamp)


def log_metrics(metrics: Mapping[str, float], step: int = 0, timestamp: int | None = None) -> None:
    """Add a point to each of several metrics of the active run; one is begun if there is none.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_metrics({"loss": 0.5, "accuracy": 0.9})
    """
    _run_to_log_to().log_metrics(metrics, step, timestamp)


def set_tag(key: str, value: object) -> None:
    """Set a tag of the active run; one is begun if there is none.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.set_tag("team", "blue")
    """
    _run_to_log_to().set_tag(key, value)


def set_tags(tags: Mapping[str, object]) -> None:
    """Set tags of the active run; one is begun if there is none.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.set_tags({"team": "blue", "data": "2024"})
    """
    _run_to_log_to().set_tags(tags)


def flush(timeout: float = 10.0) -> None:
    """Return when all that was logged by this process is on disk.

    Parameters
    ----------
    timeout
        Seconds to wait.

    Raises
    ------
    StoreError
        The database could not be written in that time; the records stay queued.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.flush()
    """
    default_client().flush(timeout)


def get_run(run: str) -> Run:
    """Return a stored run.

    Parameters
    ----------
    run
        Its id, the beginning of one (4 characters or more), or its name.

    Raises
    ------
    NotFoundError, InvalidParameterError
        No run, or more than one, is meant.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run("mine"):
    ...     nbtrack.log_param("alpha", 0.1)
    >>> nbtrack.get_run("mine").data.params
    {'alpha': '0.1'}
    """
    return default_client().get_run(run)


def search_runs(
    experiment_names: Sequence[str] | None = None, *, max_results: int = 1000
) -> pd.DataFrame:
    """Return runs as MLflow's DataFrame: one row a run, newest first.

    Parameters
    ----------
    experiment_names
        Only runs of these; default: all.
    max_results
        At least 1.

    Returns
    -------
    pandas.DataFrame
        Columns run_id, run_name, experiment_id, status, artifact_uri, start_time, end_time (UTC),
        then ``metrics.<key>`` (floats), ``params.<key>`` and ``tags.<key>`` (texts).

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is no such experiment; `max_results` is below 1.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_metric("loss", 0.5)
    >>> nbtrack.search_runs()["metrics.loss"].tolist()
    [0.5]
    """
    from nbtrack.tracking.frames import mlflow_frame

    client = default_client()
    return mlflow_frame(
        client.search_runs(experiment_names=experiment_names, max_results=max_results)
    )


def runs(experiment_names: Sequence[str] | None = None, *, max_results: int = 1000) -> pd.DataFrame:
    """Return runs as a DataFrame for people: one row a run, newest first, its id as index.

    Parameters
    ----------
    experiment_names
        Only runs of these; default: all.
    max_results
        At least 1.

    Returns
    -------
    pandas.DataFrame
        Columns name, experiment, status, started (UTC), duration_s, cell, the metrics (floats),
        the params (numbers where all of them are, else texts) and the tags. One that is called
        like a column before it is ``metrics.<key>``, ``params.<key>`` or ``tags.<key>``.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is no such experiment; `max_results` is below 1.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run("mine"):
    ...     nbtrack.log_params({"alpha": 0.1})
    >>> nbtrack.runs()[["name", "alpha"]].values.tolist()
    [['mine', 0.1]]
    """
    from nbtrack.tracking.frames import people_frame

    client = default_client()
    return people_frame(
        client.search_runs(experiment_names=experiment_names, max_results=max_results)
    )


def register_model(model_uri: str, name: str) -> ModelVersion:
    """Make the next version of a registered model from a run's model.

    Parameters
    ----------
    model_uri
        ``runs:/<run>/model``, or just a run: its id, the beginning of one, or its name.
    name
        Name of the registered model; it is made if it is new.

    Raises
    ------
    InvalidParameterError, NotFoundError
        The name or the URI cannot be used; the run has no model.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> from sklearn.dummy import DummyClassifier
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run("mine") as run:
    ...     run.log_model(DummyClassifier().fit([[0]], [0]), "sklearn")
    >>> nbtrack.register_model("mine", "guesser").version
    1
    """
    return default_client().register_model(model_uri, name)


def load_model(model_uri: str, *, trust: bool = False) -> object:
    """Return a model as it was when it was logged.

    Parameters
    ----------
    model_uri
        ``models:/<name>/<version>``, ``models:/<name>/latest``, ``models:/<name>@<alias>``,
        ``runs:/<run>/model``, or the path of a directory with an MLmodel file.
    trust
        Load it although it was not saved by this user on this machine. Loading a model can run
        any code that its maker put in.

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is no such model; the URI cannot be read.
    UntrustedModelError
        It is somebody else's, or was changed, and `trust` was not given.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> from sklearn.dummy import DummyClassifier
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run("mine") as run:
    ...     run.log_model(DummyClassifier().fit([[0]], [7]), "sklearn")
    >>> nbtrack.load_model("runs:/mine/model").predict([[0]]).tolist()
    [7]
    """
    return default_client().load_model(model_uri, trust=trust)
