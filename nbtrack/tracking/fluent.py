"""The functions of ``nbtrack.*`` over the run that is active: begin, log, end.

They are one-liners over a client and a handle. Whatever MLflow's ``synchronous`` says, a logging
function returns at once, and what it was given outlives the process from then on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from nbtrack.errors import InvalidParameterError, MissingPackageError, NbtrackError
from nbtrack.provenance.source import NOTE
from nbtrack.settings import Settings, settings
from nbtrack.tracking import active, notices
from nbtrack.tracking.client import Client
from nbtrack.tracking.client.logging import no_models
from nbtrack.tracking.location import current_path
from nbtrack.tracking.operations import RunOperations
from nbtrack.tracking.run import ActiveRun, now_ms
from nbtrack.types import LifecycleStage, Metric, Run, RunStatus

_stack = active.stack


def default_client() -> Client:
    """Return the client that the functions of ``nbtrack.*`` use."""
    return Client(current_path())


# -- life of a run


def start_run(  # noqa: PLR0917 - MLflow's signature
    run_id: str | None = None,
    experiment_id: str | int | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, object] | None = None,
    description: str | None = None,
    log_system_metrics: bool | None = None,
) -> ActiveRun:
    """Begin a run, or go on with one, and make it the active one.

    Parameters
    ----------
    run_id
        Go on with this run: it is RUNNING again until it ends. Default: the setting ``run_id``,
        once; else a run begins.
    experiment_id
        Its experiment; default: that of `set_experiment`.
    run_name
        Default: a name such as ``brave-otter-12``.
    nested
        Begin it as a part of the run that is active; otherwise none may be.
    parent_run_id
        The run that it is a part of, where none is active.
    tags
        First tags.
    description
        A text about it, kept as the tag ``mlflow.note.content``.
    log_system_metrics
        Measure CPU, memory, disk, network and GPUs; default: the setting ``system_metrics``.

    Returns
    -------
    ActiveRun
        As a context manager it ends itself.

    Raises
    ------
    InvalidParameterError
        A run is active and `nested` was not given; the run, its parent or the experiment is in
        the trash; what is given does not fit together.
    NotFoundError
        There is no such run, parent or experiment.
    MissingPackageError
        `log_system_metrics` without psutil.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run(run_name="by hand"):
    ...     nbtrack.log_metric("loss", 0.5)
    """
    open_runs = active.open_runs()
    if open_runs and not nested:
        raise InvalidParameterError(
            f"The run {open_runs[-1].run_name} ({open_runs[-1].run_id[:8]}) is still active.",
            hint="End it by nbtrack.end_run(), or begin this one with nested=True.",
        )
    if log_system_metrics and find_spec("psutil") is None:
        raise MissingPackageError(
            "Logging system metrics needs the package psutil.", hint="pip install psutil"
        )
    all_tags = dict(tags or {})
    if description:
        if NOTE in all_tags:
            raise InvalidParameterError(
                f"The description is given twice: also as the tag {NOTE}.",
                hint="Leave out one of them.",
            )
        all_tags[NOTE] = description
    known = run_id or _take_run_id()
    if known:
        run = _resumed(known, experiment_id, parent_run_id, run_name)
        run.set_tags(all_tags)
    else:
        run = default_client().start_run(
            run_name,
            experiment_id=None if experiment_id is None else str(experiment_id),
            parent_run_id=_parent(open_runs, parent_run_id),
            tags=all_tags,
        )
    active.push(run)
    if settings.system_metrics if log_system_metrics is None else log_system_metrics:
        _measure(run, is_wanted=log_system_metrics is True)
    return run


def _take_run_id() -> str:
    """Return the run that the setting names, once: the next start_run begins one of its own."""
    run_id = settings.run_id
    settings.reset("run_id")
    for name in (Settings.run_id.env, *Settings.run_id.also):
        os.environ.pop(name, None)
    return run_id


def _resumed(
    run_id: str, experiment_id: str | int | None, parent_run_id: str | None, run_name: str | None
) -> ActiveRun:
    try:
        run = default_client().handle(run_id)
    except NbtrackError as error:
        if error.hint and run_name is None:
            error.hint += " A name for a new run is given as start_run(run_name=...)."
        raise
    if settings.is_chosen("experiment") and run.experiment_name != settings.experiment:
        raise InvalidParameterError(
            f"The run {run.run_name} is in the experiment {run.experiment_name!r}, and not in "
            f"{settings.experiment!r}, which is chosen.",
            hint=f"Call nbtrack.set_experiment({run.experiment_name!r}) before.",
        )
    for what, given, own in (
        ("experiment", experiment_id, run.experiment_id),
        ("parent", parent_run_id, run.parent_run_id),
    ):
        if given is not None and str(given) != own:
            raise InvalidParameterError(
                f"The run {run.run_name} has the {what} {own}, and not {given}.",
                hint=f"A run keeps its {what}: leave it out.",
            )
    if run.end_time is not None or run.status is not RunStatus.RUNNING:
        run.resume()
    if run_name:
        run.update(name=run_name)
    return run


def _parent(open_runs: Sequence[ActiveRun], parent_run_id: str | None) -> str | None:
    if not parent_run_id:
        return open_runs[-1].run_id if open_runs else None
    parent = default_client().get_run(parent_run_id).info
    if open_runs and open_runs[-1].run_id != parent.run_id:
        raise InvalidParameterError(
            f"The active run is {open_runs[-1].run_name} ({open_runs[-1].run_id[:8]}), and not "
            f"{parent.run_name} ({parent.run_id[:8]}), which is to be the parent.",
            hint="End it by nbtrack.end_run(), or leave out parent_run_id.",
        )
    if parent.lifecycle_stage == LifecycleStage.DELETED:
        raise InvalidParameterError(
            f"The run {parent.run_name} ({parent.run_id[:8]}) is in the trash.",
            hint=f"Take it out by client.restore_run({parent.run_id!r}).",
        )
    return parent.run_id


def _measure(run: ActiveRun, *, is_wanted: bool) -> None:
    try:
        run.measure_system()
    except NbtrackError as error:
        if is_wanted:
            run.end(RunStatus.FAILED, str(error))
            raise
        notices.warn(f"System metrics are not logged: {error}", cause="system metrics")


def active_run() -> ActiveRun | None:
    """Return the run begun last by `start_run` in this thread or task and not ended, or None.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.active_run() is None
    True
    """
    runs = active.open_runs()
    return runs[-1] if runs else None


def last_active_run() -> ActiveRun | Run | None:
    """Return the active run, else the one begun last in this thread or task, or None.

    Runs that were begun by a ``fit`` count, too.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run(run_name="mine"):
    ...     nbtrack.log_metric("loss", 0.5)
    >>> nbtrack.last_active_run().data.metrics
    {'loss': 0.5}
    """
    run = active.last.get()
    return active_run() or (None if run is None else Client(run.path).get_run(run.run_id))


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


def _run(run_id: str | None = None) -> ActiveRun:
    """Return the run to log to: a named one, the active one, or one that begins now."""
    if run_id is not None:
        return default_client().handle(run_id)
    return active_run() or start_run()


# -- params, metrics, tags


def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Set a param of the active run and return its value; a run is begun if there is none.

    A param that is there is overwritten; `Client.get_param_history` has the values before.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     alpha = nbtrack.log_param("alpha", 0.1)
    """
    run = _run()
    run.log_param(key, value)
    return value if synchronous is not False else _operations(run, synchronous)


def log_params(
    params: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None
) -> RunOperations | None:
    """Set params of the active run, or of another one; a run is begun if there is none.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_params({"alpha": 0.1, "beta": 2})
    """
    run = _run(run_id)
    run.log_params(params)
    return _operations(run, synchronous)


def log_metric(  # noqa: PLR0917 - MLflow's signature
    key: str,
    value: float,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> RunOperations | None:
    """Add a point to a metric of the active run; one is begun if there is none.

    Parameters
    ----------
    value
        Anything that `float` takes but text: also arrays and tensors of one number.
    step
        Place of the point; default: 0.
    synchronous
        False: return an object to wait for, as MLflow. Every call returns at once.
    timestamp
        Milliseconds since 1970 UTC; default: now.
    run_id
        Log to this run, and not to the active one.
    model_id, dataset
        What it was measured with.

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
    runs = _stack.get()
    run = runs[-1] if run_id is None and runs and runs[-1].end_time is None else _run(run_id)
    if model_id is None and dataset is None:
        run.log_metric(key, value, step, timestamp)
    else:
        _log_linked(run, _points({key: value}, step, timestamp, model_id), dataset)
    return None if synchronous is not False else _operations(run, synchronous)


def log_metrics(  # noqa: PLR0917 - MLflow's signature
    metrics: Mapping[str, float],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> RunOperations | None:
    """Add a point to each of several metrics of the active run; one is begun if there is none.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_metrics({"loss": 0.5, "accuracy": 0.9})
    """
    run = _run(run_id)
    if model_id is None and dataset is None:
        run.log_metrics(metrics, step, timestamp)
    else:
        _log_linked(run, _points(metrics, step, timestamp, model_id), dataset)
    return _operations(run, synchronous)


def _points(
    metrics: Mapping[str, float], step: int | None, timestamp: int | None, model_id: str | None
) -> list[Metric]:
    at = now_ms() if timestamp is None else timestamp
    return [Metric(key, value, at, step or 0, model_id) for key, value in metrics.items()]


def _log_linked(run: ActiveRun, points: Sequence[Metric], dataset: Any) -> None:
    if dataset is None:
        run.log_batch(points)
        return
    from nbtrack.data import to_record

    record = to_record(dataset)
    name, digest = record.name, record.digest
    run.log_batch([replace(p, dataset_name=name, dataset_digest=digest) for p in points])
    run.log_input(record, context=None)


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> RunOperations | None:
    """Set a tag of the active run; one is begun if there is none.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.set_tag("team", "blue")
    """
    run = _run()
    run.set_tag(key, value)
    return _operations(run, synchronous)


def set_tags(tags: Mapping[str, Any], synchronous: bool | None = None) -> RunOperations | None:
    """Set tags of the active run; one is begun if there is none.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.set_tags({"team": "blue", "data": "2024"})
    """
    run = _run()
    run.set_tags(tags)
    return _operations(run, synchronous)


def delete_tag(key: str) -> None:
    """Take a tag off the active run.

    Raises
    ------
    NotFoundError
        It has no such tag.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run(tags={"team": "blue"}):
    ...     nbtrack.delete_tag("team")
    """
    _run().delete_tag(key)


# -- data


def log_input(
    dataset: Any = None,
    context: str | None = None,
    tags: Mapping[str, str] | None = None,
    model: Any = None,
) -> None:
    """Note a dataset that the active run saw; a run is begun if there is none.

    Parameters
    ----------
    dataset
        A dataset of `nbtrack.data` or MLflow's, or the data itself: shape, schema and fingerprint
        are kept, never the data.
    context
        What it is used for: ``"training"``, ``"eval"`` ...
    tags
        More about this use of it.

    Examples
    --------
    >>> import nbtrack, numpy, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run() as run:
    ...     nbtrack.log_input(nbtrack.data.from_numpy(numpy.zeros((2, 3)), name="X"), "training")
    >>> [(item.dataset.name, item.context) for item in run.inputs.dataset_inputs]
    [('X', 'training')]
    """
    if model is not None:
        raise no_models()
    run = _run()
    if dataset is not None:
        run.log_input(dataset, context=context, tags=tags)


def log_inputs(
    datasets: Sequence[Any] | None = None,
    contexts: Sequence[str | None] | None = None,
    tags_list: Sequence[Mapping[str, str] | None] | None = None,
    models: Sequence[Any] | None = None,
) -> None:
    """Note several datasets that the active run saw; see `log_input`.

    Raises
    ------
    InvalidParameterError
        The lists are not of the same length.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_inputs([[1, 2], [3]], ["training", "eval"], [None, None])
    """
    if models:
        raise no_models()
    lists = [list(items or ()) for items in (datasets, contexts, tags_list)]
    if len({len(items) for items in lists}) > 1:
        raise InvalidParameterError(
            f"There are {len(lists[0])} datasets, {len(lists[1])} contexts and {len(lists[2])} "
            "tags; each dataset needs one of both.",
            hint="Use None for a dataset without context or tags.",
        )
    run = _run()
    for dataset, context, tags in zip(*lists, strict=True):
        if dataset is not None:
            run.log_input(dataset, context=context, tags=tags)


def _operations(run: ActiveRun, synchronous: bool | None) -> RunOperations | None:
    return RunOperations(Client(run.path).flush) if synchronous is False else None
