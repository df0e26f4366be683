"""The helper itself: cells run in a real kernel of this Python, in the folder asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import nbclient.exceptions
import nbformat
import pytest

Run = Callable[..., nbformat.NotebookNode]


def test_cells_run_in_this_python_and_folder(run: Run, tmp_path: Path) -> None:
    notebook = run(
        [
            "import sys\nprint(sys.prefix)",
            "_ = open('written.txt', 'w').write('by the kernel')\n6 * 7",
        ]
    )
    assert notebook.cells[0].outputs[0].text.strip() == sys.prefix
    assert notebook.cells[1].outputs[0].data["text/plain"] == "42"
    assert (tmp_path / "written.txt").read_text() == "by the kernel"


def test_a_cell_that_raises_is_an_error_unless_allowed(run: Run) -> None:
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="ZeroDivisionError"):
        run(["1 / 0"])
    notebook = run(["1 / 0", "print('reached')"], allow_errors=True)
    assert notebook.cells[0].outputs[0].ename == "ZeroDivisionError"
    assert notebook.cells[1].outputs[0].text == "reached\n"
