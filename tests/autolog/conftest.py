from collections.abc import Iterator

import pytest

from nbtrack import autolog
from nbtrack.testing.fakes import FakeTracker


@pytest.fixture
def tracker() -> Iterator[FakeTracker]:
    """Autologging is on, and whatever was not expected to be said is an error."""
    tracker = FakeTracker()
    autolog.enable(tracker)
    yield tracker
    autolog.disable()
    assert tracker.warnings == []
