"""A database of its own for the functions of ``nbtrack.*``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nbtrack.settings import settings
from nbtrack.tracking import Client, active, location


@pytest.fixture
def default(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Make the test's client that of the fluent functions, with no run left active."""
    monkeypatch.setattr(location, "_chosen", [client.path])
    monkeypatch.setattr(location, "_by_code", [client.path])
    monkeypatch.setattr(settings, "values", {})
    token = active.stack.set(())
    yield client
    active.stack.reset(token)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere.db"
