"""The runs that are active: a stack in a context variable, so each thread and async task has one.

A run that was ended by its own ``with`` or ``end()`` is off the stack from then on.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextvars import ContextVar

from nbtrack import exits
from nbtrack.tracking.run import ActiveRun
from nbtrack.types import RunStatus

stack: ContextVar[tuple[ActiveRun, ...]] = ContextVar("nbtrack_active_runs", default=())
last: ContextVar[ActiveRun | None] = ContextVar("nbtrack_last_run", default=None)

_begun: dict[str, ActiveRun] = {}  # by this process, in any thread; ended ones are dropped


def open_runs() -> tuple[ActiveRun, ...]:
    """Return the runs of this thread or task that have not ended, the active one last."""
    return tuple(run for run in stack.get() if run.end_time is None)


def push(run: ActiveRun) -> None:
    """Make a run the active one."""
    stack.set((*open_runs(), run))
    last.set(run)
    for other in list(_begun.values()):
        if other.end_time is not None:
            _begun.pop(other.run_id, None)
    _begun[run.run_id] = run


def _end_all() -> None:
    """End what is still active when the process ends as it should, the inner runs first.

    MLflow calls all of it FINISHED; a script that an exception ended has not.
    """
    error = getattr(sys, "last_value", None)
    if hasattr(sys, "ps1") or "IPython" in sys.modules:
        error = None  # the last one of many, and long dealt with
    for run in reversed(list(_begun.values())):
        if error is None:
            run.end()
        elif isinstance(error, Exception):
            run.end(RunStatus.FAILED, "".join(traceback.format_exception(error)))
        else:
            run.end(RunStatus.KILLED)


exits.register(exits.Step.RUNS, _end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begun.clear)  # those are the parent's
