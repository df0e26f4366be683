"""Fixtures of the tests that run cells in a real kernel."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from .kernel import run_cells


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., nbformat.NotebookNode]:
    """Run cells in a fresh kernel in the test's own temporary folder; see `run_cells`."""
    return functools.partial(run_cells, cwd=tmp_path)
