"""The same scripts give the same results as on MLflow, which `record` ran them on."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack.tracking import Client

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "recorded.json").read_text())["found"]

_spec = importlib.util.spec_from_file_location("equivalence_scripts", HERE / "scripts.py")
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
SCRIPTS: dict[str, Any] = _module.SCRIPTS

# Where nbtrack means to be another: path in the result -> what it gives instead.
DIFFERENCES: dict[str, dict[tuple[Any, ...], Any]] = {
    "infinities": {("inf",): "inf", ("minus",): "-inf"},  # MLflow cuts them to the largest float
    "params_again": {(0,): False, (1,): {"p": "2"}},  # the old value is in its history
    "long_values": {(1,): False, (2,): 7000, (3,): 9000},  # kept whole, also long names
    "inputs": {  # each use of a dataset counts; MLflow keeps the first
        (1,): [
            ["grid", "a93ed270", "code"],
            ["wine", "fbc06655", "local"],
            ["wine", "fbc06655", "local"],
        ]
    },
}


@pytest.fixture
def environment() -> Iterator[None]:
    """Take back what a script says in the environment."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _changed(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    items: Any = dict(value) if isinstance(value, dict) else list(value)
    items[path[0]] = _changed(items[path[0]], path[1:], other)
    return items


def test_every_script_is_recorded() -> None:
    assert set(RECORDED) == set(SCRIPTS)


@pytest.mark.usefixtures("default", "environment")
@pytest.mark.parametrize("name", SCRIPTS)
def test_as_mlflow(name: str, tmp_path: Path, client: Client) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    found = _plain(SCRIPTS[name](nbtrack, folder))
    while nbtrack.active_run():
        nbtrack.end_run()
    expected = RECORDED[name]
    for path, other in DIFFERENCES.get(name, {}).items():
        expected = _changed(expected, path, other)
    assert found == expected
