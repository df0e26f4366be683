"""The functions of ``nbtrack.*`` that log to the active run: params, metrics, tags, datasets.

They are one-liners over a handle. Whatever MLflow's ``synchronous`` says, they return at once, and
what they were given outlives the process from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.tracking import active
from nbtrack.tracking.client.logging import no_models
from nbtrack.tracking.fluent import operations, run_to_log_to
from nbtrack.tracking.operations import RunOperations
from nbtrack.tracking.run import ActiveRun
from nbtrack.tracking.runlife import now_ms
from nbtrack.types import Metric

_stack = active.stack


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
    run = run_to_log_to()
    run.log_param(key, value)
    return value if synchronous is not False else operations(run, synchronous)


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
    run = run_to_log_to(run_id)
    run.log_params(params)
    return operations(run, synchronous)


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
    run = (
        runs[-1] if run_id is None and runs and runs[-1].end_time is None else run_to_log_to(run_id)
    )
    if model_id is None and dataset is None:
        run.log_metric(key, value, step, timestamp)
    else:
        _log_linked(run, _points({key: value}, step, timestamp, model_id), dataset)
    return None if synchronous is not False else operations(run, synchronous)


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
    run = run_to_log_to(run_id)
    if model_id is None and dataset is None:
        run.log_metrics(metrics, step, timestamp)
    else:
        _log_linked(run, _points(metrics, step, timestamp, model_id), dataset)
    return operations(run, synchronous)


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
    run = run_to_log_to()
    run.set_tag(key, value)
    return operations(run, synchronous)


def set_tags(tags: Mapping[str, Any], synchronous: bool | None = None) -> RunOperations | None:
    """Set tags of the active run; one is begun if there is none.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.set_tags({"team": "blue", "data": "2024"})
    """
    run = run_to_log_to()
    run.set_tags(tags)
    return operations(run, synchronous)


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
    run_to_log_to().delete_tag(key)


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
    run = run_to_log_to()
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
    run = run_to_log_to()
    for dataset, context, tags in zip(*lists, strict=True):
        if dataset is not None:
            run.log_input(dataset, context=context, tags=tags)
