"""A large store of the real MLflow's: every value of it arrives, in bounded memory, once.

``NBTRACK_BIG=1`` makes it 2,000 runs with 1,000,000 points, which takes MLflow some minutes
(``NBTRACK_BIG_STORE`` names one that was made before):
``pytest -s -m mlflow tests/transfer/imports/test_size.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nbtrack.tracking import Client

from .test_mlflow import said_by_mlflow, with_mlflow

pytestmark = pytest.mark.mlflow

RUNS, POINTS = (2_000, 1_000_000) if os.environ.get("NBTRACK_BIG") else (50, 25_000)
STORE = os.environ.get("NBTRACK_BIG_STORE")  # one that was made before
MB = 2**20

CHILD = """
    import json, re, sys, time
    from pathlib import Path
    from nbtrack import Client
    client, told, found = Client("nbtrack.db"), [], []
    for _ in range(2):
        start = time.perf_counter()
        report = client.import_runs(sys.argv[1], progress=lambda *pair: told.append(pair))
        seconds = time.perf_counter() - start
        found.append([seconds, len(report.added), report.unchanged, report.changed,
                      report.problems + report.conflicts])
    # Not ru_maxrss: that begins with what the process had that started this one.
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    print(json.dumps([found, peak, told[0], told[-1], len(told)]))
    """


@pytest.fixture(scope="module")
def large(mlflow_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if STORE is not None:
        return Path(STORE)
    path = tmp_path_factory.mktemp("large") / "mlflow.db"
    with_mlflow(mlflow_python, "big", f"sqlite:///{path}", RUNS, POINTS)
    return path


def test_all_of_it_comes_once(large: Path, mlflow_python: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(large)],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    ((first, again), peak_kb, began, ended, told) = json.loads(done.stdout)
    assert first[1:] == [RUNS, 0, True, []]
    assert again[1:] == [0, RUNS, False, []]
    assert (began, ended) == ([0, RUNS], [RUNS, RUNS])
    assert told > 2
    said = said_by_mlflow(mlflow_python, f"sqlite:///{large}", tmp_path)
    client = Client(tmp_path / "nbtrack.db")
    try:
        points = _compare(said, client)
    finally:
        client.workspace.writer.close()
    assert points == POINTS
    print(
        f"\n{RUNS:,} runs, {POINTS:,} points, {large.stat().st_size / MB:.0f} MB: imported in"
        f" {first[0]:.1f} s, again in {again[0]:.1f} s, {peak_kb / 1024:.0f} MB at most; the"
        f" database has {(tmp_path / 'nbtrack.db').stat().st_size / MB:.1f} MB. MLflow's client"
        f" read all of it in {said['seconds']:.1f} s."
    )
    assert peak_kb < 400 * 1024


def _compare(said: dict[str, list[dict[str, dict[str, object]]]], client: Client) -> int:
    """Compare every value of every run; return how many points there were."""
    points = 0
    for run in said["runs"]:
        run_id = str(run["info"]["run_id"])
        stored = client.get_run(run_id)
        assert stored.data.params == run["params"]
        assert stored.data.tags == run["tags"]
        assert stored.data.metrics == pytest.approx(run["metrics"], rel=0, abs=0, nan_ok=True)
        for key, history in run["histories"].items():
            assert isinstance(history, list)
            mine = [(m.step, m.timestamp, m.value) for m in client.get_metric_history(run_id, key)]
            assert sorted(map(repr, mine)) == sorted(repr(tuple(point)) for point in history)
            points += len(mine)
    return points
