"""The examples in docstrings run, and give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbtrack
from nbtrack.tracking import active

MODULES = [
    module.name
    for module in pkgutil.walk_packages(nbtrack.__path__, "nbtrack.")
    if module.name != "nbtrack.__main__"  # runs the command line
]
# Their examples use the library that they are named after.
OF_LIBRARIES = {
    f"nbtrack.{name}" for name in ("catboost", "lightgbm", "onnx", "statsmodels", "xgboost")
}


@pytest.fixture
def apart(workdir: Path) -> Iterator[Path]:
    """Let examples choose databases and begin runs, and leave nothing of it to other tests."""
    token = active.stack.set(())
    yield workdir
    nbtrack.flush()
    active.stack.reset(token)
    nbtrack.set_tracking_uri("")


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.usefixtures("apart")
def test_examples_of_a_module(name: str) -> None:
    if name in OF_LIBRARIES:
        pytest.importorskip(name.rpartition(".")[2])
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module)
    assert failed == 0
