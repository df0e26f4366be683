"""The functions of ``nbtrack.*`` over experiments, and over what is stored of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from nbtrack.errors import AlreadyExistsError, InvalidParameterError
from nbtrack.settings import settings
from nbtrack.tracking.client.experiments import check_name
from nbtrack.tracking.fluent import default_client
from nbtrack.tracking.paging import check_count
from nbtrack.types import Experiment, LifecycleStage, Run, ViewType

if TYPE_CHECKING:
    import pandas as pd

# -- experiments


def set_experiment(
    experiment_name: str | None = None, experiment_id: str | int | None = None
) -> Experiment:
    """Choose the experiment of new runs; it is made if there is none of that name.

    Parameters
    ----------
    experiment_name, experiment_id
        One of them.

    Raises
    ------
    InvalidParameterError
        The experiment is in the trash; the name is blank; both or none are given.
    NotFoundError
        There is no experiment with that id.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> nbtrack.set_experiment("Default").experiment_id
    '0'
    """
    if (experiment_name is None) == (experiment_id is None):
        raise InvalidParameterError(
            "Give either a name or the id of an experiment.",
            hint="For example: set_experiment('churn').",
        )
    client = default_client()
    if experiment_id is not None:
        found = client.get_experiment(str(experiment_id))
    else:
        found = _named(check_name(experiment_name))
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise InvalidParameterError(
            f"The experiment {found.name!r} is in the trash.",
            hint=f"Take it out by nbtrack.Client().restore_experiment({found.experiment_id!r}).",
        )
    settings.experiment = found.name
    settings.reset("experiment_id")
    return found


def _named(name: str) -> Experiment:
    """Return the experiment of that name, which is made if there is none."""
    client = default_client()
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found
    try:
        return client.get_experiment(client.create_experiment(name))
    except AlreadyExistsError:  # by another process meanwhile, or with the file: Default
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found


def experiment_in_use() -> Experiment:
    """Return the experiment that new runs get, which is made if it is not there."""
    name, experiment_id = default_client().settings_experiment()
    return default_client().get_experiment(experiment_id) if experiment_id else _named(name)


def create_experiment(
    name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
) -> str:
    """Make an experiment and return its id.

    Parameters
    ----------
    artifact_location
        Noted for MLflow's sake; artifacts are kept in the database.
    tags
        First tags.

    Raises
    ------
    AlreadyExistsError, InvalidParameterError
        There is one of that name, in the trash or not; the name is blank.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> nbtrack.create_experiment("churn", tags={"team": "blue"})
    '1'
    """
    return default_client().create_experiment(name, artifact_location, tags)


def get_experiment(experiment_id: str | int) -> Experiment:
    """Return an experiment, in the trash or not.

    Raises
    ------
    NotFoundError
        There is none with that id.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> nbtrack.get_experiment(nbtrack.create_experiment("churn")).name
    'churn'
    """
    return default_client().get_experiment(str(experiment_id))


def get_experiment_by_name(name: str) -> Experiment | None:
    """Return the experiment of that name, in the trash or not; None if there is none.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> nbtrack.get_experiment_by_name("churn") is None
    True
    """
    return default_client().get_experiment_by_name(name)


def search_experiments(
    view_type: int | str = ViewType.ACTIVE_ONLY,
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: Sequence[str] | None = None,
) -> list[Experiment]:
    """Return experiments, newest first.

    Parameters
    ----------
    view_type
        `ViewType`: whether those in the trash are meant.
    max_results
        At most so many; default: all.
    filter_string
        For example ``name LIKE 'churn%' AND tags.team = 'blue'``.
    order_by
        For example ``["name ASC"]``.

    Raises
    ------
    InvalidParameterError
        The filter, the order, the view or `max_results` cannot be used.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> _ = nbtrack.create_experiment("churn")
    >>> [found.name for found in nbtrack.search_experiments()]
    ['churn', 'Default']
    """
    wanted = 2**62 if max_results is None else check_count(max_results)
    found = default_client().search_experiments(view_type, wanted, filter_string, order_by)
    return list(found)


def delete_experiment(experiment_id: str | int) -> None:
    """Put an experiment and its runs into the trash; `Client.restore_experiment` takes them out.

    Raises
    ------
    NotFoundError
        There is no such experiment, or it is there already.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> nbtrack.delete_experiment(nbtrack.create_experiment("churn"))
    """
    default_client().delete_experiment(str(experiment_id))


def set_experiment_tag(key: str, value: Any) -> None:
    """Set a tag of the experiment in use.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> nbtrack.set_experiment_tag("team", "blue")
    """
    set_experiment_tags({key: value})


def set_experiment_tags(tags: Mapping[str, Any]) -> None:
    """Set tags of the experiment in use.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> nbtrack.set_experiment_tags({"team": "blue", "due": "May"})
    >>> nbtrack.get_experiment("0").tags
    {'due': 'May', 'team': 'blue'}
    """
    default_client().set_experiment_tags(experiment_in_use().experiment_id, tags)


def delete_experiment_tag(key: str) -> None:
    """Take a tag off the experiment in use.

    Raises
    ------
    NotFoundError
        It has no such tag.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> nbtrack.set_experiment_tag("team", "blue")
    >>> nbtrack.delete_experiment_tag("team")
    """
    default_client().delete_experiment_tag(experiment_in_use().experiment_id, key)


# -- runs


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
        As in `search_runs`.
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

    table = default_client().run_table(
        None,
        filter_string,
        max_results=max_results,
        order_by=order_by,
        experiment_names=experiment_names,
    )
    return people_frame(table)
