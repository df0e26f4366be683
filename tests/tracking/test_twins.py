"""Runs of the same data, params and code know of each other."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nbtrack.provenance import cells
from nbtrack.tracking import ActiveRun, Client, later, twins

DATA = np.arange(6.0)


@pytest.fixture(autouse=True)
def _cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "executions", [])
    monkeypatch.setattr(twins, "executions", cells.executions)
    monkeypatch.setattr(twins, "_first", {})


def make(
    client: Client,
    *,
    code: str = "fit()",
    data: object = DATA,
    alpha: float = 1.0,
    experiment: str = "Default",
) -> ActiveRun:
    cells.begin_cell(code, 1, None)
    run = client.start_run(experiment_name=experiment, tags={"nbtrack.autolog": "Ridge"})
    run.log_params({"alpha": alpha})
    run.log_input(data, "X")
    run.end()
    run.look_for_twin()
    cells.end_cell("ok")
    return run


def notice(run: ActiveRun) -> str | None:
    later.wait()
    return run.tags.get(twins.NOTICE)


def test_the_same_again(client: Client) -> None:
    first, second, third = make(client), make(client), make(client)
    for run in (second, third):
        assert notice(run) == (
            f"Same data, params and code as run {first.run_name} ({first.run_id[:8]})."
        )
    assert notice(first) is None
    assert client.get_run(third.run_id).data.tags[twins.NOTICE] == third.tags[twins.NOTICE]


def test_a_flush_waits_for_the_look(client: Client) -> None:
    make(client)
    second = make(client)
    client.flush()
    with contextlib.closing(sqlite3.connect(client.path)) as conn:
        query = "SELECT count(*) FROM tags JOIN runs USING (run_no) WHERE run_id = ? AND key = ?"
        assert conn.execute(query, (second.run_id, twins.NOTICE)).fetchone() == (1,)


def test_what_differs(client: Client) -> None:
    first = make(client)
    runs = [
        make(client, code="fit(2)"),
        make(client, data=DATA + 1),
        make(client, alpha=2.0),
        make(client, experiment="other"),
    ]
    client.flush()
    assert [notice(run) for run in (first, *runs)] == [None] * 5


def test_what_cannot_be_known(client: Client) -> None:
    for unknown in ({"data": [[1]]}, {"code": ""}):
        for _ in range(2):
            run = make(client, **unknown)  # type: ignore[arg-type]
            assert twins.IDENTITY not in run.tags
            assert notice(run) is None


def test_a_run_of_an_earlier_process(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(client)
    client.flush()
    monkeypatch.setattr(twins, "_first", {})
    second = make(client)
    assert first.run_name in (notice(second) or "")
    client.delete_run(first.run_id)
    client.delete_run(second.run_id)
    monkeypatch.setattr(twins, "_first", {})
    assert notice(make(client)) is None


SCRIPT = """
import nbtrack
from sklearn.linear_model import Ridge
nbtrack.autolog(log_models=False)
model = Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
import numpy
model.fit(numpy.array([[0.0], [1.0]]), numpy.array([0.0, 1.0]))
"""


def test_a_script_that_runs_twice(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    for _ in range(2):
        subprocess.run([sys.executable, script], cwd=tmp_path, check=True, timeout=120)
    client = Client(tmp_path / "nbtrack.db")
    runs = client.search_runs(["0"], order_by=["start_time"])
    assert len(runs) == 4
    assert [twins.IDENTITY in run.data.tags for run in runs] == [False, True, False, True]
    client.workspace.writer.close()
