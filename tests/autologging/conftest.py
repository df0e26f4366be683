from collections.abc import Iterator

import pytest

from nbtrack import autologging
from nbtrack.testing.fakes import FakeTracker


@pytest.fixture
def tracker() -> Iterator[FakeTracker]:
    """Autologging is on, and whatever was not expected to be said is an error."""
    tracker = FakeTracker()
    autologging.enable(tracker)
    yield tracker
    autologging.disable()
    assert tracker.warnings == []
