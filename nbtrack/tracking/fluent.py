"""The functions of ``nbtrack.*`` that begin and end runs, and the run that is active."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from nbtrack.errors import InvalidParameterError, MissingPackageError, NbtrackError
from nbtrack.provenance.source import NOTE
from nbtrack.settings import Settings, settings
from nbtrack.tracking import active, notices
from nbtrack.tracking.client import Client
from nbtrack.tracking.location import current_place
from nbtrack.tracking.operations import RunOperations
from nbtrack.tracking.run import ActiveRun
from nbtrack.types import LifecycleStage, Run, RunStatus


def default_client() -> Client:
    """Return the client that the functions of ``nbtrack.*`` use."""
    return Client(current_place())


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
    for name in Settings.run_id.variables:
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
    return active_run() or (None if run is None else Client(run.place).get_run(run.run_id))


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


def run_to_log_to(run_id: str | None = None) -> ActiveRun:
    """Return the run to log to: a named one, the active one, or one that begins now."""
    if run_id is not None:
        return default_client().handle(run_id)
    return active_run() or start_run()


def operations(run: ActiveRun, synchronous: bool | None) -> RunOperations | None:
    """Return what to wait for, if that was asked for."""
    return RunOperations(Client(run.place).flush) if synchronous is False else None
