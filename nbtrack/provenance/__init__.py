"""Facts about where a run comes from: its process, environment, cells and data."""

from nbtrack.provenance.cells import CellTracker, current_cell
from nbtrack.provenance.data import describe
from nbtrack.provenance.environment import environment
from nbtrack.provenance.process import ThisProcess, is_alive, this_process
from nbtrack.provenance.redaction import redact

__all__ = [
    "CellTracker",
    "ThisProcess",
    "current_cell",
    "describe",
    "environment",
    "is_alive",
    "redact",
    "this_process",
]
