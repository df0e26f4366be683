"""The cells of the notebook that this process runs, as they are executed."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable

from nbtrack.provenance.redaction import redact
from nbtrack.settings import settings
from nbtrack.types import CellExecution

executions: list[CellExecution] = []
"""All executions so far, in order; the last one is replaced when it ends."""

on_end: list[Callable[[], None]] = []
"""Called when a cell has ended: who stores cells."""

notebook: list[str] = []
"""Path of the notebook that this process runs, if its host tells."""


def begin_cell(source: str, execution_count: int | None, cell_id: str | None) -> CellExecution:
    """Note that a cell begins, its secrets redacted, and return it.

    Where the setting ``log_cells`` is off, its source is empty.
    """
    cell = CellExecution(
        execution_id=uuid.uuid4().hex,
        execution_count=execution_count,
        cell_id=cell_id,
        source=redact(source) if settings.log_cells else "",
        start_ms=time.time_ns() // 1_000_000,
    )
    executions.append(cell)
    return cell


def end_cell(outcome: str) -> None:
    """Note that the cell has ended: ``ok``, ``error`` or ``interrupted``."""
    cell = current_cell()
    if cell is not None:
        now = time.time_ns() // 1_000_000
        executions[-1] = dataclasses.replace(cell, end_ms=now, outcome=outcome)
        for function in on_end:
            function()


def current_cell() -> CellExecution | None:
    """Return the cell that is being executed, or None between cells and outside of a notebook."""
    if executions and executions[-1].outcome is None:
        return executions[-1]
    return None
