"""The cells of a notebook as they are executed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from nbtrack.provenance.redaction import redact
from nbtrack.settings import settings
from nbtrack.types import CellExecution

_current: ContextVar[CellExecution | None] = ContextVar("nbtrack_cell", default=None)
_latest: list[CellExecution] = []  # threads that were started elsewhere have no context of ours


def current_cell() -> CellExecution | None:
    """Return the cell that is being executed, or None outside of a notebook."""
    return _current.get() or (_latest[0] if _latest else None)


class CellTracker:
    """Follows the cells of one kernel.

    Parameters
    ----------
    on_begin
        Called with each cell that begins; the source is redacted, or empty where the setting
        ``log_cells`` is off.
    on_end
        Called with the execution's id, its end in ms and its outcome.
    """

    def __init__(
        self,
        on_begin: Callable[[CellExecution], None],
        on_end: Callable[[str, int, str], None],
    ) -> None:
        self._on_begin = on_begin
        self._on_end = on_end

    def begin(
        self, source: str, execution_count: int | None, cell_id: str | None
    ) -> CellExecution:
        """Note that a cell begins, and return it."""
        cell = CellExecution(
            execution_id=uuid.uuid4().hex,
            execution_count=execution_count,
            cell_id=cell_id,
            source=redact(source) if settings.log_cells else "",
            start_ms=time.time_ns() // 1_000_000,
        )
        _current.set(cell)
        _latest[:] = [cell]
        self._on_begin(cell)
        return cell

    def end(self, outcome: str) -> None:
        """Note that the current cell has ended: ok, error or interrupted."""
        cell = current_cell()
        _current.set(None)
        _latest.clear()
        if cell is not None:
            self._on_end(cell.execution_id, time.time_ns() // 1_000_000, outcome)
