"""The tracker that integrations get: runs of the default client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtrack.tracking import notices

if TYPE_CHECKING:
    from nbtrack.tracking import ActiveRun


class FluentTracker:
    """A `nbtrack.autologging.Tracker` over ``nbtrack.*``: its database, its experiment.

    What a run needs is imported by the first one: loading the extension stays light.
    """

    def begin_run(self, name_hint: str) -> ActiveRun:
        """Begin a run; it gets a name of its own, what was fitted is in its tags."""
        from nbtrack.tracking.fluent import default_client

        return default_client().start_run(tags={"nbtrack.autolog": name_hint})

    def active_run(self) -> ActiveRun | None:
        """Return the run of the user's own ``start_run``, or None."""
        from nbtrack.tracking.fluent import active_run

        return active_run()

    def warn(self, message: str) -> None:
        """Tell the user, once."""
        notices.warn(message)
