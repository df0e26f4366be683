"""A sample of scikit-learn's own tests has the same outcomes with nbtrack loaded as without.

All of them, by hand, for each of its packages: set the variables that `nbtrack_loaded` names and
run ``pytest --pyargs sklearn.ensemble -p nbtrack_loaded -c /dev/null`` in this folder's upstream.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

UPSTREAM = Path(__file__).with_name("upstream")
SAMPLE = (
    "sklearn.tests.test_pipeline",
    "sklearn.tests.test_metadata_routing",
    "sklearn.svm.tests.test_bounds",
    "sklearn.model_selection.tests.test_successive_halving",
    "sklearn.metrics.tests.test_score_objects",
    "sklearn.metrics._plot.tests.test_confusion_matrix_display",
)


def outcomes(folder: Path, *, loaded: bool) -> dict[str, Any]:
    """Run the sample in a process of its own."""
    result = folder / f"{loaded}.json"
    environment = os.environ | {
        "NBTRACK_UPSTREAM_OUTCOMES": str(result),
        "NBTRACK_UPSTREAM_LOADED": str(folder / "nbtrack.db") if loaded else "",
        "PYTHONPATH": os.pathsep.join(
            [str(UPSTREAM), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
        "SKLEARN_SKIP_NETWORK_TESTS": "1",
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "nbtrack_loaded",
        "-p",
        "no:cacheprovider",
    ]
    subprocess.run(
        [*command, "-c", os.devnull, "--pyargs", *SAMPLE],
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=600,
        check=False,  # a test of theirs may fail here: with and without
    )
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def test_the_same_outcomes(tmp_path: Path) -> None:
    without = outcomes(tmp_path, loaded=False)
    loaded = outcomes(tmp_path, loaded=True)
    assert len(without["outcomes"]) > 250
    assert loaded["runs"] > 100, "the tests were not tracked"
    different = {
        test: (outcome, loaded["outcomes"].get(test))
        for test, outcome in without["outcomes"].items()
        if loaded["outcomes"].get(test) != outcome
    }
    assert different == {}
    assert loaded["outcomes"].keys() == without["outcomes"].keys()
