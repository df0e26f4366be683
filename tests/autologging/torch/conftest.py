"""Cells as a notebook runs them, without a kernel."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nbtrack import autologging
from nbtrack.provenance import cells
from nbtrack.testing.fakes import FakeTracker

SETUP = """
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
X = torch.randn(60, 4)
y = (X.sum(1) > 0).long()
loader = DataLoader(TensorDataset(X, y), batch_size=20)
def make():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
model = make()
opt = torch.optim.SGD(model.parameters(), lr=0.1)
criterion = nn.CrossEntropyLoss()
"""


class Notebook:
    """Runs cells in one namespace."""

    def __init__(self) -> None:
        self.space: dict[str, Any] = {"__name__": "__main__"}
        self.count = 0

    def __call__(self, source: str) -> BaseException | None:
        """Run a cell, and return what it raised."""
        self.count += 1
        name = f"<cell {id(self)} {self.count}>"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        cells.begin_cell(source, self.count, None)
        outcome, raised = "ok", None
        try:
            exec(compile(source, name, "exec"), self.space)
        except KeyboardInterrupt as error:
            outcome, raised = "interrupted", error
        except Exception as error:
            outcome, raised = "error", error
            sys.last_value = error
        cells.end_cell(outcome)
        return raised


@pytest.fixture
def tracker() -> Iterator[FakeTracker]:
    """Autologging of torch is on, and whatever was not expected to be said is an error."""
    pytest.importorskip("torch")
    tracker = FakeTracker()
    autologging.enable(tracker, "torch")
    yield tracker
    autologging.disable()
    sys.__dict__.pop("last_value", None)
    assert tracker.warnings == []


@pytest.fixture
def run(tracker: FakeTracker) -> Callable[[str], BaseException | None]:
    """Return what runs cells; the names of `SETUP` are there."""
    notebook = Notebook()
    assert notebook(SETUP) is None
    return notebook
