"""What is done when the process ends, in the order in which one thing needs another.

`atexit` alone calls what was registered last first, which is the order of imports: nbtrack imports
things as late as it can, so what writes would be closed before what still has something to write.
"""

from __future__ import annotations

import atexit
import enum
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack


class Step(enum.IntEnum):
    """The steps, the first one first."""

    TRAININGS = 0
    """Trainings that are not known to have ended are: that logs something, and ends runs."""
    RUNS = 1
    """Runs that are active are ended."""
    LATER = 2
    """What waits for the database is waited for."""
    STORES = 3
    """What was logged is written, and files are closed."""


_functions: dict[Step, list[Callable[[], object]]] = {step: [] for step in Step}
_forks_seen: list[object] = []


def register(step: Step, function: Callable[[], object]) -> None:
    """Have a function called once at the end of the process, after all those of earlier steps."""
    if function not in _functions[step]:
        _functions[step].append(function)


def _end(first: Step = Step.TRAININGS) -> None:
    with ExitStack() as stack:  # which goes on after an error, and raises it at its end
        for step in reversed(Step):
            if step >= first:
                for function in reversed(_functions[step]):
                    stack.callback(function)


def _end_child() -> None:
    _end(Step.LATER)  # trainings and runs are the parent's


def _before_fork() -> None:
    # A child of multiprocessing ends without atexit, but with finalizers of its own.
    util = sys.modules.get("multiprocessing.util")
    if util is not None and util not in _forks_seen:
        _forks_seen.append(util)
        util.register_after_fork(
            _end_child, lambda _: util.Finalize(None, _end_child, exitpriority=0)
        )


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)
