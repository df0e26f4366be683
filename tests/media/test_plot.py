"""Small tables for the front end."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbtrack.artifacts.digest import check_path
from nbtrack.media import Plot


def test_arrays_become_lists() -> None:
    plot = Plot("m", "confusion_matrix", {"n": np.eye(2, dtype=int)}, {"labels": np.array(["a"])})
    assert json.loads(plot.encode()) == {
        "kind": "confusion_matrix",
        "columns": {"n": [[1, 0], [0, 1]]},
        "meta": {"labels": ["a"]},
    }


def test_what_json_does_not_have() -> None:
    columns = {"t": [math.inf, -math.inf, math.nan, 1.5]}
    stored = json.loads(Plot("r", "roc_curve", columns).encode(), parse_constant=pytest.fail)
    assert stored["columns"] == {"t": ["Infinity", "-Infinity", None, 1.5]}


@given(st.text(max_size=40))
@example("LPT0")
@example("nul.x")
def test_any_name_is_a_path(name: str) -> None:
    path = Plot(name, "residuals", {}).path
    assert check_path(path) == path
    assert path.count("/") == 1
