"""What a point costs on a tracking server, by our client and by MLflow's own.

``NBTRACK_MLFLOW_PYTHON=... pytest -s -m mlflow tests/benchmarks/test_server_speed.py``
"""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
import time
from pathlib import Path

import pytest

from nbtrack.tracking import Client

pytestmark = [pytest.mark.benchmark, pytest.mark.mlflow]

POINTS = 20_000
THEIRS = 200  # each is a request

SCRIPT = """
    import json, logging, sys, time
    import mlflow
    logging.disable(logging.CRITICAL)
    mlflow.set_tracking_uri(sys.argv[1])
    count = int(sys.argv[2])
    with mlflow.start_run():
        mlflow.log_metric("warm", 1.0)
        begin = time.perf_counter()
        for step in range(count):
            mlflow.log_metric("loss", step / 2, step)
        plain = time.perf_counter() - begin
        begin = time.perf_counter()
        for step in range(count):
            mlflow.log_metric("later", step / 2, step, synchronous=False)
        later = time.perf_counter() - begin
        mlflow.flush_async_logging()
        arrived = time.perf_counter() - begin
    print(json.dumps([plain / count, later / count, count / arrived]))
"""


def test_cost_of_a_point(
    mlflow_server: str, mlflow_python: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = Client(mlflow_server)
    run = client.start_run()
    run.log_metric("warm", 1.0)
    client.flush(60)
    begin = time.perf_counter()
    for step in range(POINTS):
        run.log_metric("loss", step / 2, step)
    ours = (time.perf_counter() - begin) / POINTS
    client.flush(120)
    arrived = POINTS / (time.perf_counter() - begin)
    run.end()
    assert len(client.get_metric_history(run.run_id, "loss")) == POINTS
    done = subprocess.run(
        [mlflow_python, "-c", textwrap.dedent(SCRIPT), mlflow_server, str(THEIRS)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    plain, later, there = json.loads(done.stdout.splitlines()[-1])
    with capsys.disabled():
        print(
            f"\na point on a server costs its caller {ours * 1e6:.1f} us; MLflow's client"
            f" {plain * 1e6:,.0f} us, with synchronous=False {later * 1e6:,.0f} us."
            f" Points that arrive in a second: {arrived:,.0f}; MLflow's client, asynchronous,"
            f" {there:,.0f}"
        )
