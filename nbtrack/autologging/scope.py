"""The outermost call: what runs inside it belongs to it and is not recorded by itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol


class Recorder(Protocol):
    """Told of one outermost call. An error of its own becomes a warning; see `on_fault`."""

    def begin(self) -> None:
        """Before the call."""

    def succeed(self, result: Any) -> None:
        """After the call has returned `result`."""

    def fail(self, error: BaseException) -> None:
        """After the call has raised `error`, or an interrupt came while `begin` was at work."""


_ABSORBED: Any = object()
# What records the outermost call that is going on here.
_inside: ContextVar[Recorder | None] = ContextVar("nbtrack_inside", default=None)


on_fault: list[Callable[[Exception], None]] = []
"""Told of errors of recorders; may not raise."""


class _Switch:
    """Whether this process records at all, and whether its children have been thought of."""

    on = False
    wanted = False
    paused = False
    forks_seen_to = False


def switch(on: bool) -> None:
    """Record in this process, or not; a forked child never does until it asks to.

    A child would write into its parent's runs, through its parent's threads and connections.
    """
    _Switch.wanted = on
    _Switch.on = on and not _Switch.paused
    if on and not _Switch.forks_seen_to and hasattr(os, "register_at_fork"):
        _Switch.forks_seen_to = True  # such a function can never be taken back
        os.register_at_fork(after_in_child=lambda: switch(False))


def pause(paused: bool) -> None:
    """Record nothing for a while, whatever `switch` says meanwhile."""
    _Switch.paused = paused
    _Switch.on = _Switch.wanted and not paused


def is_on() -> bool:
    """Whether this process records at the moment."""
    return _Switch.on


def is_idle() -> bool:
    """Whether a call that starts here would be an outermost one."""
    return _Switch.on and _inside.get() is None


def is_inside() -> bool:
    """Whether an outermost call is going on here."""
    return _inside.get() is not None


def recording() -> Recorder | None:
    """Return what records the outermost call that is going on here, if anything does."""
    found = _inside.get()
    return None if found is _ABSORBED else found


def record(
    recorder: Recorder,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    """Call `function` once as an outermost call, and tell `recorder`.

    An interrupt may come between any two lines here. Python raises it after a call has returned,
    so the first call of ``finally``, which ends the scope, always takes place. What the recorder
    does with the result is no call of the user's either, so it has a scope of its own. Whatever
    the recorder raises but an interrupt is not for the user: the call goes on without it.
    """
    __tracebackhide__ = True
    try:
        try:
            _inside.set(recorder)
            _guarded(recorder.begin)
            result = function(*args, **kwargs)
        finally:
            _inside.set(None)
    except BaseException as error:
        absorb(_guarded, (recorder.fail, error), {})
        raise
    absorb(_guarded, (recorder.succeed, result), {})
    return result


def _guarded(function: Callable[..., None], *args: Any) -> None:
    """Call a function of a recorder so that no error of ours reaches the user's call."""
    try:
        function(*args)
    except Exception as error:  # noqa: BLE001  # the user's call does not break
        for tell in on_fault:
            tell(error)


def absorb(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call `function` so that nothing inside it is taken for an outermost call."""
    __tracebackhide__ = True
    before = _inside.get()
    try:
        if before is None:
            _inside.set(_ABSORBED)
        return function(*args, **kwargs)
    finally:
        _inside.set(before)
