"""The tracker that integrations get: runs of the default client."""

from __future__ import annotations

from nbtrack.tracking import ActiveRun, notices
from nbtrack.tracking.fluent import active_run, default_client
from nbtrack.tracking.names import new_name


class FluentTracker:
    """A `nbtrack.autolog.Tracker` over ``nbtrack.*``: its database, its experiment."""

    def begin_run(self, name_hint: str) -> ActiveRun:
        """Begin a run; it gets a name of its own, what was fitted is in its tags."""
        return default_client().start_run(new_name(), tags={"nbtrack.autolog": name_hint})

    def active_run(self) -> ActiveRun | None:
        """Return the run of the user's own ``start_run``, or None."""
        return active_run()

    def warn(self, message: str) -> None:
        """Tell the user, once."""
        notices.warn(message)
