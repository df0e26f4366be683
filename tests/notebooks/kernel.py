"""Run cells in a real kernel, without a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nbclient
import nbformat


def run_cells(
    cells: Sequence[str], cwd: Path, *, allow_errors: bool = False, seconds: int = 120
) -> nbformat.NotebookNode:
    """Run code cells in a fresh kernel of this very Python, and end the kernel.

    Parameters
    ----------
    cells
        Sources of the cells.
    cwd
        Working directory of the kernel.
    allow_errors
        Go on after a cell that raised; otherwise nbclient's CellExecutionError is raised.
    seconds
        How long one cell may take.

    Returns
    -------
    NotebookNode
        The notebook with its outputs: ``notebook.cells[0].outputs``.
    """
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells]
    )
    client = nbclient.NotebookClient(
        notebook,
        kernel_name="python3",  # without an installed kernel of that name: this Python's
        timeout=seconds,
        allow_errors=allow_errors,
        resources={"metadata": {"path": str(cwd)}},
    )
    return client.execute()
