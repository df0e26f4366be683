"""A pytest plugin: runs somebody else's tests with nbtrack loaded, or without, and keeps outcomes.

``NBTRACK_UPSTREAM_LOADED`` names a database that every fit is logged to; empty: nbtrack is not
loaded. ``NBTRACK_UPSTREAM_OUTCOMES`` names the JSON file of outcomes by test.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import FrameType
from typing import Any

OUTCOMES = Path(os.environ["NBTRACK_UPSTREAM_OUTCOMES"])
DATABASE = os.environ.get("NBTRACK_UPSTREAM_LOADED", "")

_outcomes: dict[str, str] = {}


def pytest_configure(config: Any) -> None:
    """Load nbtrack, so that the tests of scikit-learn count as a user's code."""
    if not DATABASE:
        return
    import nbtrack
    from nbtrack import autologging
    from nbtrack.autologging import asking
    from nbtrack.autologging.sklearn import evaluation, fits, indirect
    from nbtrack.autologging.tracker import FluentTracker

    original = asking.is_from_library

    def is_from_library(frame: FrameType) -> bool:
        name = str(frame.f_globals.get("__name__"))
        return ".tests." not in name and original(frame)

    for module in (asking, evaluation, fits, indirect):
        module.is_from_library = is_from_library  # type: ignore[attr-defined]
    nbtrack.set_tracking_uri(DATABASE)
    autologging.enable(FluentTracker())


def pytest_runtest_logreport(report: Any) -> None:
    """Keep the outcome of a test: the worst of its phases."""
    if report.when == "call" or report.outcome != "passed":
        expected = "xfail" if hasattr(report, "wasxfail") else ""
        file, _, name = report.location  # node ids have no file for tests of installed packages
        _outcomes[f"{file}::{name}"] = f"{expected} {report.outcome}".strip()


def pytest_sessionfinish(session: Any) -> None:
    """Write down the outcomes."""
    runs = -1
    if DATABASE:
        import nbtrack

        nbtrack.flush(60)
        runs = int(nbtrack.sql("select count(*) as n from runs")["n"][0])
    OUTCOMES.write_text(json.dumps({"outcomes": _outcomes, "runs": runs}))
