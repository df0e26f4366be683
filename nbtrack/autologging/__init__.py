"""Autologging: the outermost ``fit`` becomes a run, without a line of the user's.

`enable` takes a `Tracker`, whose runs have the few verbs of `TrackedRun`; integrations know no
more of tracking than that.
"""

from nbtrack.autologging.integration import (
    TABLE,
    Integration,
    Status,
    TrackedRun,
    Tracker,
    disable,
    enable,
    status,
)

__all__ = [
    "TABLE",
    "Integration",
    "Status",
    "TrackedRun",
    "Tracker",
    "disable",
    "enable",
    "status",
]
