"""Facts about where a run comes from: its process, environment, cells and data."""

from nbtrack.provenance.cells import begin_cell, current_cell, end_cell, executions
from nbtrack.provenance.data import describe
from nbtrack.provenance.environment import environment
from nbtrack.provenance.process import ThisProcess, is_alive, this_process
from nbtrack.provenance.redaction import redact

__all__ = [
    "ThisProcess",
    "begin_cell",
    "current_cell",
    "describe",
    "end_cell",
    "environment",
    "executions",
    "is_alive",
    "redact",
    "this_process",
]
