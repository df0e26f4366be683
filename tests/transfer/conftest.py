"""Databases with nothing in them but what a test puts there."""

from __future__ import annotations

import pytest

from nbtrack.provenance import cells


@pytest.fixture(autouse=True)
def _no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the cells of other tests: the first run of a file stores all of its notebook."""
    monkeypatch.setattr(cells, "executions", [])
