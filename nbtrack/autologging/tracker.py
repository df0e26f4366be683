"""The tracker that integrations get: runs of the default client."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from nbtrack.tracking import notices

if TYPE_CHECKING:
    from nbtrack.autologging.integration import TrackedRun
    from nbtrack.tracking import ActiveRun


class FluentTracker:
    """A `nbtrack.autologging.Tracker` over ``nbtrack.*``: its database, its experiment.

    What a run needs is imported by the first one: loading the extension stays light.
    """

    def begin_run(
        self,
        name_hint: str,
        *,
        parent: TrackedRun | None = None,
        tags: Mapping[str, str] = MappingProxyType({}),
    ) -> ActiveRun:
        """Begin a run; it gets a name of its own, what was fitted is in its tags."""
        from nbtrack.tracking.client import Client
        from nbtrack.tracking.fluent import default_client

        first = {"nbtrack.autolog": name_hint, **tags}
        if parent is None:
            return default_client().start_run(tags=first)
        stored = cast("ActiveRun", parent)
        # Where the parent is, whatever database and experiment are in use by now.
        return Client(stored.place).start_run(
            experiment_name=stored.experiment_name, parent_run_id=stored.run_id, tags=first
        )

    def active_run(self) -> ActiveRun | None:
        """Return the run of the user's own ``start_run``, or None."""
        from nbtrack.tracking.fluent import active_run

        return active_run()

    def warn(self, message: str) -> None:
        """Tell the user, once."""
        notices.warn(message)
