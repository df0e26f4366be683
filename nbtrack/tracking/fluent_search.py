"""The functions of ``nbtrack.*`` over what is stored of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from nbtrack.errors import InvalidParameterError
from nbtrack.tracking.fluent import default_client
from nbtrack.types import CANDIDATE_TAG, Run, ViewType

if TYPE_CHECKING:
    import pandas as pd


def get_run(run_id: str) -> Run:
    """Return a stored run.

    Parameters
    ----------
    run_id
        Its id, the beginning of one (4 characters or more), or its name.

    Raises
    ------
    NotFoundError, InvalidParameterError
        No run, or more than one, is meant.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run(run_name="mine"):
    ...     nbtrack.log_params({"alpha": 0.1})
    >>> nbtrack.get_run("mine").data.params
    {'alpha': '0.1'}
    """
    return default_client().get_run(run_id)


def get_parent_run(run_id: str) -> Run | None:
    """Return the run that a run is a part of, or None.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run(run_name="search"):
    ...     with nbtrack.start_run(run_name="try", nested=True):
    ...         nbtrack.log_metric("loss", 0.5)
    >>> nbtrack.get_parent_run("try").info.run_name
    'search'
    """
    return default_client().get_parent_run(run_id)


def delete_run(run_id: str) -> None:
    """Put a run into the trash; `Client.restore_run` takes it out.

    Raises
    ------
    NotFoundError
        There is no such run.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run(run_name="mine"):
    ...     nbtrack.log_metric("loss", 0.5)
    >>> nbtrack.delete_run("mine")
    """
    default_client().delete_run(run_id)


@overload
def search_runs(
    experiment_ids: Sequence[str] | None = ...,
    filter_string: str = ...,
    run_view_type: int | str = ...,
    max_results: int = ...,
    order_by: Sequence[str] | None = ...,
    output_format: Literal["pandas"] = ...,
    search_all_experiments: bool = ...,
    experiment_names: Sequence[str] | None = ...,
) -> pd.DataFrame: ...
@overload
def search_runs(
    experiment_ids: Sequence[str] | None = ...,
    filter_string: str = ...,
    run_view_type: int | str = ...,
    max_results: int = ...,
    order_by: Sequence[str] | None = ...,
    *,
    output_format: Literal["list"],
    search_all_experiments: bool = ...,
    experiment_names: Sequence[str] | None = ...,
) -> list[Run]: ...
def search_runs(  # noqa: PLR0917 - MLflow's signature
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    run_view_type: int | str = ViewType.ACTIVE_ONLY,
    max_results: int = 100_000,
    order_by: Sequence[str] | None = None,
    output_format: str = "pandas",
    search_all_experiments: bool = False,
    experiment_names: Sequence[str] | None = None,
) -> pd.DataFrame | list[Run]:
    """Return runs as MLflow does: a DataFrame with a row for each, newest first.

    Parameters
    ----------
    experiment_ids, experiment_names
        Only runs of these; default: those of the experiment in use.
    filter_string
        For example ``metrics.accuracy > 0.9 AND params.model = 'forest'``.
    run_view_type
        `ViewType`: whether those in the trash are meant.
    max_results
        At least 1.
    order_by
        For example ``["metrics.accuracy DESC"]``.
    output_format
        ``"pandas"``, or ``"list"`` for `Run` objects.
    search_all_experiments
        Runs of all experiments, where none is named.

    Returns
    -------
    pandas.DataFrame or list
        Columns run_id, experiment_id, status, artifact_uri, start_time, end_time (UTC), then
        ``metrics.<key>`` (floats), ``params.<key>`` and ``tags.<key>`` (texts).

    Raises
    ------
    NotFoundError, InvalidParameterError
        There is no experiment of that name; the filter, the order, the view or `max_results`
        cannot be used.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run():
    ...     nbtrack.log_metric("loss", 0.5)
    >>> nbtrack.search_runs(filter_string="metrics.loss < 1")["metrics.loss"].tolist()
    [0.5]
    """
    if experiment_ids and experiment_names:
        raise InvalidParameterError(
            "Experiments are given by ids and by names.", hint="Give one of both."
        )
    if output_format not in {"pandas", "list"}:
        raise InvalidParameterError(
            f"{output_format!r} is no output_format.", hint="Use 'pandas' or 'list'."
        )
    client = default_client()
    ids = experiment_ids or None
    if not (ids or experiment_names or search_all_experiments):
        name, experiment_id = client.settings_experiment()
        found = None if experiment_id else client.get_experiment_by_name(name)
        ids = [experiment_id] if experiment_id else [found.experiment_id] if found else []
    names = experiment_names or None
    wanted = (ids, filter_string, run_view_type, max_results, order_by)
    if output_format == "list":
        return list(client.search_runs(*wanted, experiment_names=names))
    from nbtrack.tracking.frames import mlflow_frame

    return mlflow_frame(client.run_table(*wanted, experiment_names=names))


def runs(
    experiment_names: Sequence[str] | None = None,
    *,
    filter_string: str = "",
    order_by: Sequence[str] | None = None,
    max_results: int = 1000,
) -> pd.DataFrame:
    """Return runs as a DataFrame for people: one row a run, newest first, its id as index.

    Parameters
    ----------
    experiment_names
        Only runs of these; default: all.
    filter_string, order_by
        As in `search_runs`. Without a filter the candidates of a parameter search are left out:
        its own run has the best of them.
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
        There is no such experiment; the filter, the order or `max_results` cannot be used.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run(run_name="mine"):
    ...     nbtrack.log_params({"alpha": 0.1})
    >>> nbtrack.runs()[["name", "alpha"]].values.tolist()
    [['mine', 0.1]]
    """
    from nbtrack.tracking.frames import people_frame

    client = default_client()
    if isinstance(client.place, Path):  # servers of some versions have no filter for what is absent
        filter_string = filter_string or f"tags.`{CANDIDATE_TAG}` IS NULL"
    table = client.run_table(
        None,
        filter_string,
        max_results=max_results,
        order_by=order_by,
        experiment_names=experiment_names,
    )
    return people_frame(table)


def sql(
    query: str,
    params: Sequence[Any] | Mapping[str, Any] = (),
    *,
    max_rows: int | None = None,
) -> pd.DataFrame:
    """Return what a SELECT over the database gives; nothing can be changed by it.

    Parameters
    ----------
    query
        One SELECT over the views ``runs``, ``params``, ``metrics``, ``metric_history``, ``tags``,
        ``experiments``, ``datasets``, ``inputs``, ``artifacts``, ``models``, ``model_versions``,
        ``model_events`` and ``cells``; the README has their columns.
    params
        Values of its question marks, or of its ``:names``.
    max_rows
        Most rows to take; more are an error. Default: all.

    Returns
    -------
    pandas.DataFrame
        One column for each of the query's.

    Raises
    ------
    InvalidParameterError
        The query is none, would write, or gives more rows than that.
    NotFoundError
        There is no database yet.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> with nbtrack.start_run(run_name="mine"):
    ...     nbtrack.log_metric("loss", 0.5)
    >>> nbtrack.sql("SELECT run_name, last FROM runs JOIN metrics USING (run_id)").values.tolist()
    [['mine', 0.5]]
    """
    return default_client().sql(query, params, max_rows=max_rows)
