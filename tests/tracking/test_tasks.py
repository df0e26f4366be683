"""Which run is active in threads, pools and tasks; and how runs end with their process."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest

import nbtrack
from nbtrack.tracking import Client


@pytest.mark.usefixtures("default")
def test_a_pool_with_the_context_of_its_maker() -> None:
    def work(i: int) -> None:
        nbtrack.log_metric("i", i, step=i)
        with nbtrack.start_run(nested=True):
            nbtrack.log_param("i", i)

    with nbtrack.start_run(run_name="outer") as outer, ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(copy_context().run, work, i) for i in range(20)]:
            future.result()
        assert nbtrack.active_run() is outer
    assert outer.data.summaries["i"].count == 20
    children = nbtrack.search_runs(filter_string=f"parent_run_id = '{outer.run_id}'")
    assert sorted(map(int, children["params.i"])) == list(range(20))


@pytest.mark.usefixtures("default")
def test_a_pool_without_it_begins_runs_of_its_own() -> None:
    with nbtrack.start_run(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(nbtrack.active_run).result() is None
        pool.submit(nbtrack.log_metric, "m", 1).result()
        pool.submit(nbtrack.end_run).result()
    assert len(nbtrack.runs()) == 2


@pytest.mark.usefixtures("default")
def test_a_run_begun_in_one_thread_may_be_written_in_another() -> None:
    with nbtrack.start_run() as run, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: run.log_metric("m", i, step=i), range(500)))
    assert run.data.summaries["m"].count == 500


@pytest.mark.usefixtures("default")
def test_the_last_run_of_a_fit() -> None:
    client = Client(nbtrack.get_tracking_uri())
    with client.start_run("by an integration"):
        pass
    last = nbtrack.last_active_run()
    assert last is not None
    assert last.info.run_name == "by an integration"
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(nbtrack.last_active_run).result() is None


@pytest.mark.parametrize(
    ("end", "statuses"),
    [
        ("", ["FINISHED", "FINISHED"]),
        ("raise ValueError('bad')", ["FAILED", "FAILED"]),
        ("raise KeyboardInterrupt", ["KILLED", "KILLED"]),
        ("import sys; sys.exit(1)", ["FINISHED", "FINISHED"]),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ["KILLED", "KILLED"]),
    ],
)
def test_runs_end_with_their_process(client: Client, end: str, statuses: list[str]) -> None:
    script = (
        "import sys, nbtrack as mlflow\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "mlflow.start_run(run_name='a')\n"
        "mlflow.start_run(run_name='b', nested=True)\n"
        f"mlflow.log_metric('m', 1)\n{end}\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(client.path)],
        capture_output=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    runs = [client.get_run(name) for name in ("a", "b")]
    assert [str(run.info.status) for run in runs] == statuses
    assert runs[1].data.metrics == {"m": 1.0}


def test_system_metrics_end_with_the_run(default: Client, tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    nbtrack.set_system_metrics_sampling_interval(0.05)
    with nbtrack.start_run(run_name="r", log_system_metrics=True) as run:
        pass
    first = run.data.summaries["system/cpu_utilization_percentage"]
    assert run.metrics == {}  # a card is no place for them
    with nbtrack.start_run("r", log_system_metrics=True):
        pass
    again = run.data.summaries["system/cpu_utilization_percentage"]
    assert again.last_step > first.last_step
    assert again.count > first.count
