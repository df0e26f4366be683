"""The functions of ``nbtrack.*`` over experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbtrack.errors import AlreadyExistsError, InvalidParameterError
from nbtrack.settings import settings
from nbtrack.tracking.client.experiments import check_name
from nbtrack.tracking.fluent import default_client
from nbtrack.tracking.paging import check_count
from nbtrack.types import Experiment, LifecycleStage, ViewType


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
        Where contents of artifacts are brought that are too long for the database file: an address
        of fsspec such as ``s3://bucket/folder``, or a folder. Default: as the setting
        ``artifact_location`` says.
    tags
        First tags.

    Raises
    ------
    AlreadyExistsError, InvalidParameterError
        There is one of that name, in the trash or not; the name is blank; nothing can be written to
        the location.
    MissingPackageError
        fsspec, or its package for the location, is not installed.

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
