"""Runs as the user makes them: the explicit client, the handle of a run, the fluent functions."""

from nbtrack.tracking.client import Client
from nbtrack.tracking.run import ActiveRun

__all__ = ["ActiveRun", "Client"]
