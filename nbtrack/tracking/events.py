"""Who is told when a run changes: the card below the cell, open widgets.

A listener is called in the thread that changed the run, often within the user's ``fit``: it has to
be quick, and what it raises becomes a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nbtrack.tracking import notices

if TYPE_CHECKING:
    from nbtrack.tracking.run import ActiveRun

Listener = Callable[["ActiveRun"], None]

listeners: list[Listener] = []
"""All of them; a loop that logs looks whether there are any."""


def subscribe(listener: Listener) -> None:
    """Tell a listener of every change of every run of this process."""
    listeners.append(listener)


def unsubscribe(listener: Listener) -> None:
    """Stop telling it; again is harmless."""
    listeners[:] = [other for other in listeners if other != listener]


def announce(run: ActiveRun) -> None:
    """Tell all listeners that a run began or changed."""
    for listener in listeners:
        try:
            listener(run)
        except Exception as error:  # noqa: BLE001 - a display must not break a fit
            notices.warn(
                f"The display of a run failed: {type(error).__name__}: {error}",
                cause=f"display: {type(error).__name__}",
            )
