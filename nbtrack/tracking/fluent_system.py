"""The functions of ``nbtrack.*`` over the database in use, and over system metrics."""

from __future__ import annotations

from pathlib import Path

from nbtrack.settings import settings
from nbtrack.tracking.fluent import default_client
from nbtrack.tracking.location import choose, current_place, is_chosen


def set_tracking_uri(uri: str | Path) -> None:
    """Choose the database, or server, of ``nbtrack.*`` and of clients that name none.

    Parameters
    ----------
    uri
        A path, ``sqlite:///path``, or the address of a tracking server, ``http(s)://...``; empty:
        choose again as at the start.

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
    """Return the absolute path of the database, or the address of the server, that is in use.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.get_tracking_uri().endswith(".db")
    True
    """
    return str(current_place())


def is_tracking_uri_set() -> bool:
    """Return whether code, a setting or the environment has named the database or server.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> nbtrack.is_tracking_uri_set()
    True
    """
    return is_chosen()


def flush(timeout: float = 10.0) -> None:
    """Return when all that was logged by this process is on disk, or on the server.

    Parameters
    ----------
    timeout
        Seconds to wait.

    Raises
    ------
    StoreError
        It could not be written in that time; the records stay queued.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.flush()
    """
    default_client().flush(timeout)


def enable_system_metrics_logging() -> None:
    """Measure CPU, memory, disk, network and GPUs in all runs that `start_run` begins from now on.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.enable_system_metrics_logging()
    >>> nbtrack.disable_system_metrics_logging()
    """
    settings.system_metrics = True


def disable_system_metrics_logging() -> None:
    """Measure the system only in runs that ask for it.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.disable_system_metrics_logging()
    """
    settings.system_metrics = False


def set_system_metrics_sampling_interval(interval: float | None) -> None:
    """Choose how many seconds pass from one measurement to the next; None: the default.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.set_system_metrics_sampling_interval(2)
    >>> nbtrack.set_system_metrics_sampling_interval(None)
    """
    _choose("system_metrics_interval", interval)


def set_system_metrics_samples_before_logging(samples: int | None) -> None:
    """Choose how many measurements are averaged for one point; None: the default.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.set_system_metrics_samples_before_logging(5)
    >>> nbtrack.set_system_metrics_samples_before_logging(None)
    """
    _choose("system_metrics_samples", samples)


def set_system_metrics_node_id(node_id: str | None) -> None:
    """Say which of several machines this is: a part of the names of its metrics; None: none.

    Examples
    --------
    >>> import nbtrack
    >>> nbtrack.set_system_metrics_node_id("worker-3")
    >>> nbtrack.set_system_metrics_node_id(None)
    """
    _choose("system_metrics_node_id", node_id)


def _choose(name: str, value: float | str | None) -> None:
    if value is None:
        settings.reset(name)
    else:
        setattr(settings, name, value)
