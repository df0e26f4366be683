"""Loops of PyTorch in a real kernel, and what the database has of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")
Run = Callable[..., nbformat.NotebookNode]

DATA = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
X = torch.randn(60, 4)
y = (X.sum(1) > 0).long()
loader = DataLoader(TensorDataset(X, y), batch_size=20)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
opt = torch.optim.SGD(model.parameters(), lr=0.1)
"""
LOOP = """
for epoch in range(3):
    for xb, yb in loader:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(xb), yb)
        loss.backward()
        opt.step()
    with torch.no_grad():
        val_loss = nn.functional.cross_entropy(model(X), y).item()
"""


def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Read the notebook's database with a tool of its own."""
    connection = sqlite3.connect(folder / "nbtrack.db")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def html(cell: Any) -> str:
    """Return the HTML of a cell's displays."""
    return "".join(
        output.data["text/html"] for output in cell.outputs if "text/html" in output.get("data", {})
    )


def test_cells(run: Run, tmp_path: Path) -> None:
    last = (
        "import nbtrack\nstate = nbtrack.load_model('models:/net/1')\n"
        "print(all(torch.equal(v, state[k]) for k, v in model.state_dict().items()))"
    )
    name = "run_id = nbtrack.search_runs().run_id[0]\nnbtrack.register_model(run_id, 'net')"
    notebook = run(
        [
            "%load_ext nbtrack",
            DATA,
            f"%%time\n{LOOP}",
            "1 + 1",
            LOOP,
            f"import nbtrack\n{name}",
            last,
        ]
    )
    assert rows(tmp_path, "SELECT status FROM runs") == [("FINISHED",)]
    counts = dict(rows(tmp_path, "SELECT key, count FROM metrics"))
    assert counts["loss"] == 18
    assert counts["val_loss"] == counts["epoch"] == 6
    params = dict(rows(tmp_path, "SELECT key, value FROM params"))
    assert params["model"] == "Sequential"
    assert params["optimizer_name"] == "SGD"
    assert params["batch_size"] == "20"
    paths = {path for (path,) in rows(tmp_path, "SELECT path FROM artifacts")}
    assert {"model/model.safetensors", "plots/model structure.json"} <= paths
    assert "loss" in html(notebook.cells[2])
    assert notebook.cells[-1].outputs[0].text.strip() == "True"
    printed = "".join(o.get("text", "") for cell in notebook.cells for o in cell.outputs)
    assert "could not" not in printed


def test_an_interrupt_and_an_error(run: Run, tmp_path: Path) -> None:
    interrupted = LOOP.replace(
        "opt.step()", "opt.step()\n        if epoch: raise KeyboardInterrupt"
    )
    failed = DATA + LOOP.replace("opt.step()", "opt.step()\n        if epoch: 1 / 0")
    run(["%load_ext nbtrack", DATA, interrupted, failed, "1 + 1"], allow_errors=True)
    statuses = rows(tmp_path, "SELECT status FROM runs ORDER BY start_time")
    assert statuses == [("KILLED",), ("FAILED",)]
    ((error,),) = rows(tmp_path, "SELECT error FROM runs WHERE status = 'FAILED'")
    assert "ZeroDivisionError" in error
    assert rows(tmp_path, "SELECT count FROM metrics WHERE key = 'loss'") == [(4,), (4,)]


def test_the_card_of_the_cell_that_goes_on(run: Run, tmp_path: Path) -> None:
    notebook = run(["%load_ext nbtrack", DATA, LOOP, "1 + 1", LOOP])
    first, later = html(notebook.cells[2]), html(notebook.cells[4])
    assert rows(tmp_path, "SELECT count(*) FROM runs") == [(1,)]
    ((name,),) = rows(tmp_path, "SELECT run_name FROM runs")
    for card in (first, later):
        assert card.count(name) >= 1
        assert "RUNNING" not in card.upper()
    ((last,),) = rows(tmp_path, "SELECT last FROM metrics WHERE key = 'val_loss'")
    assert f"{last:.4g}"[:5] in later
    assert f"{last:.4g}"[:5] in first  # drawn once more at the end, and not at each step
