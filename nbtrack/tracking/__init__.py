"""Runs as the user makes them: the explicit client, the handle of a run, the fluent functions.

Loading the extension needs notices and events only, so the names are imported as they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtrack._lazy import attach

if TYPE_CHECKING:
    from nbtrack.tracking.client import Client, MlflowClient
    from nbtrack.tracking.run import ActiveRun

__all__ = ["ActiveRun", "Client", "MlflowClient"]

__getattr__, __dir__ = attach(
    __name__, {"ActiveRun": ".run", "Client": ".client", "MlflowClient": ".client"}
)
