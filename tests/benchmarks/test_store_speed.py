"""Logging and reading against the limit: ``pytest -s tests/benchmarks/test_store_speed.py``.

The limit is plain ``sqlite3`` doing the same work with nothing around it, in the same process run.
MLflow and Trackio are measured beside it where they are installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbtrack
from nbtrack.tracking.client import Client
from nbtrack.types import RunQuery

pytestmark = pytest.mark.benchmark

POINTS = 300_000
HISTORY = 1_000_000
RUNS, PARAMS, METRICS = 10_000, 20, 20
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def client(workdir: Path) -> Iterator[Client]:
    nbtrack.set_tracking_uri(workdir / "nbtrack.db")
    client = Client(workdir / "nbtrack.db")
    yield client
    client.flush(60)
    nbtrack.set_tracking_uri("")


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    def _say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", end="")

    return _say


def best(work: Callable[[], object], rounds: int = 5) -> float:
    """Return the shortest of some times, in seconds: what disturbs it only makes it longer."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


# ------------------------------------------------------------------------------ logging


def limit_rows(path: Path, count: int) -> float:
    """Return how long plain sqlite3 takes to store points that a list and a thread bring."""
    pending: list[tuple[int, int, int, float]] = []
    ended = threading.Event()

    def write() -> None:
        conn = sqlite3.connect(path, isolation_level=None)
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("PRAGMA synchronous = NORMAL")
        conn.execute("CREATE TABLE points (metric INTEGER, step INTEGER, time INTEGER, value REAL)")
        while not ended.is_set() or pending:
            time.sleep(0.02)
            batch = pending[:]
            del pending[: len(batch)]
            conn.execute("BEGIN")
            conn.executemany("INSERT INTO points VALUES (?, ?, ?, ?)", batch)
            conn.execute("COMMIT")
        conn.close()

    thread = threading.Thread(target=write)
    start = time.perf_counter()
    thread.start()
    for step in range(count):
        pending.append((1, step, time.time_ns() // 1_000_000, 0.5 * step))  # noqa: PERF401
    ended.set()
    thread.join()
    return time.perf_counter() - start


def test_a_call(client: Client, say: Callable[[str], None]) -> None:
    """Measure what one call costs its caller, and what a bare list would."""
    rows: list[tuple[str, float, int, int]] = []

    def bare() -> None:
        for step in range(POINTS):
            rows.append(("loss", 0.5 * step, step, time.time_ns() // 1_000_000))  # noqa: PERF401
        rows.clear()

    start = time.thread_time()
    bare()
    floor = (time.thread_time() - start) / POINTS * 1e6
    figures = {}
    with nbtrack.start_run() as run:
        for name, log in (
            ("run.log_metric", run.log_metric),
            ("nbtrack.log_metric", nbtrack.log_metric),
        ):
            found = []
            for attempt in range(3):
                start = time.thread_time()
                for step in range(POINTS):
                    log(f"m{attempt}", 0.5 * step, step)
                found.append((time.thread_time() - start) / POINTS * 1e6)
                client.flush(60)
            figures[name] = min(found)
    for name, cost in figures.items():
        say(
            f"{name}: {cost:.2f} us CPU of the caller;"
            f" a list takes {floor:.2f} (ratio {cost / floor:.1f})"
        )


def test_durable_points(client: Client, workdir: Path, say: Callable[[str], None]) -> None:
    limit = POINTS / limit_rows(workdir / "plain.db", POINTS)
    rates = []
    for _ in range(3):
        with nbtrack.start_run():
            start = time.perf_counter()
            for step in range(POINTS):
                nbtrack.log_metric("loss", 0.5 * step, step)
            client.flush(60)
            rates.append(POINTS / (time.perf_counter() - start))
    ours = max(rates)
    say(f"durable points/s: {ours:,.0f}; the limit is {limit:,.0f} (ratio {ours / limit:.2f})")
    for name, rate in (("MLflow", mlflow_rate(workdir)), ("Trackio", trackio_rate(workdir))):
        if rate:
            say(f"  {name}: {rate:,.0f} (we are {ours / rate:,.0f} times as fast)")


def mlflow_rate(folder: Path, count: int = 300) -> float | None:
    if not has("mlflow"):
        return None
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    with mlflow.start_run():
        mlflow.log_metric("warm", 0.0)
        start = time.perf_counter()
        for step in range(count):
            mlflow.log_metric("loss", 0.5 * step, step=step)
        return count / (time.perf_counter() - start)


def trackio_rate(folder: Path, count: int = 30_000) -> float | None:
    """Return Trackio's rate up to the moment when its own store has all points."""
    if not has("trackio"):
        return None
    code = f"""
        import time, trackio
        run = trackio.init(project="bench", name="a", embed=False)
        start = time.perf_counter()
        for step in range({count}):
            trackio.log({{"loss": 0.5 * step}}, step=step)
        trackio.finish()
        print("RATE", {count} / (time.perf_counter() - start))
    """
    environment = os.environ | {"TRACKIO_DIR": str(folder / "trackio")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    rates = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("RATE")]
    return float(rates[0]) if rates else None


def test_bytes_a_point(client: Client, workdir: Path, say: Callable[[str], None]) -> None:
    """Measure the file at rest, for a loop, and for one that logs at odd times and steps."""
    randomly = random.Random(0)
    for name, odd in (("every step", False), ("random steps and times", True)):
        path = workdir / f"{odd}.db"
        mine = Client(path)
        with mine.start_run() as run:
            for step in range(POINTS):
                at = randomly.randrange(10**6) if odd else step
                run.log_metric("loss", randomly.random(), at, 1_700_000_000_000 + at * 37)
        mine.workspace.writer.close()
        conn = sqlite3.connect(path)
        conn.execute("VACUUM")
        conn.close()
        say(f"bytes a point at rest, {name}: {(path.stat().st_size - 200_000) / POINTS:.1f}")


LOGGER = """
    import sys, time
    import nbtrack
    nbtrack.set_tracking_uri(sys.argv[1])
    run = nbtrack.start_run()
    run.log_metric("warm", 0.0)
    nbtrack.flush()
    print("ready", flush=True)
    sys.stdin.readline()
    for step in range(int(sys.argv[2])):
        nbtrack.log_metric("loss", 0.5 * step, step)
    nbtrack.flush(60)
    print("done", flush=True)
    nbtrack.end_run()
"""
PLAIN = """
    import sqlite3, sys, threading, time
    conn = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60, check_same_thread=False)
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("PRAGMA synchronous = NORMAL")
    conn.execute("CREATE TABLE IF NOT EXISTS points (metric INT, step INT, time INT, value REAL)")
    pending, ended = [], threading.Event()
    def write():
        while not ended.is_set() or pending:
            time.sleep(0.02)
            batch = pending[:]
            del pending[: len(batch)]
            conn.execute("BEGIN IMMEDIATE")
            conn.executemany("INSERT INTO points VALUES (?, ?, ?, ?)", batch)
            conn.execute("COMMIT")
    thread = threading.Thread(target=write)
    print("ready", flush=True)
    sys.stdin.readline()
    thread.start()
    for step in range(int(sys.argv[2])):
        pending.append((1, step, time.time_ns() // 1_000_000, 0.5 * step))
    ended.set()
    thread.join()
    print("done", flush=True)
"""


def together(code: str, path: Path, processes: int, count: int) -> float:
    """Return points per second of some processes that log at once."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(path), str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )
        for _ in range(processes)
    ]  # fmt: skip
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    start = time.perf_counter()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
    seconds = time.perf_counter() - start
    for process in started:
        process.communicate()
        assert process.returncode == 0
    return processes * count / seconds


def test_four_processes(workdir: Path, say: Callable[[str], None]) -> None:
    limit = together(PLAIN, workdir / "plain.db", 4, POINTS // 2)
    ours = together(LOGGER, workdir / "nbtrack.db", 4, POINTS // 2)
    conn = sqlite3.connect(workdir / "nbtrack.db")
    counts = [row[0] for row in conn.execute("SELECT count FROM metrics WHERE key = 'loss'")]
    conn.close()
    assert counts == [POINTS // 2] * 4
    say(f"4 processes, points/s: {ours:,.0f}; the limit is {limit:,.0f} (ratio {ours / limit:.2f})")


def test_killed_right_after(workdir: Path, say: Callable[[str], None]) -> None:
    code = """
        import os, signal, sys
        import nbtrack
        nbtrack.set_tracking_uri(sys.argv[1])
        nbtrack.start_run()
        for step in range(20_000):
            nbtrack.log_metric("loss", 0.5 * step, step)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    path = workdir / "nbtrack.db"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)], cwd=ROOT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    (run,) = Client(path).search_runs()
    lost = 20_000 - run.data.summaries["loss"].count
    assert lost == 0
    say(f"lost when killed right after 20,000 calls: {lost}")


# ------------------------------------------------------------------------------ reading


def test_a_long_history(client: Client, workdir: Path, say: Callable[[str], None]) -> None:
    with nbtrack.start_run() as run:
        for step in range(HISTORY):
            run.log_metric("loss", 0.5 * step, step)
    client.flush(60)
    store = client.workspace.store
    plain = sqlite3.connect(workdir / "plain.db")
    plain.execute("CREATE TABLE chunks (number INTEGER PRIMARY KEY, steps, times, data)")
    rng = np.random.default_rng(0)
    for number in range(0, HISTORY, 8192):
        size = min(8192, HISTORY - number)
        steps = np.arange(number, number + size)
        plain.execute(
            "INSERT INTO chunks (steps, times, data) VALUES (?, ?, ?)",
            (steps.tobytes(), (steps + 1_700_000_000_000).tobytes(), rng.random(size).tobytes()),
        )
    plain.commit()

    def limit_whole() -> list[Any]:
        rows = plain.execute("SELECT steps, times, data FROM chunks ORDER BY number").fetchall()
        kinds = (np.int64, np.int64, np.float64)
        return [
            np.concatenate([np.frombuffer(row[i], kind) for row in rows])
            for i, kind in enumerate(kinds)
        ]

    def limit_sampled() -> object:
        rows = plain.execute("SELECT data FROM chunks ORDER BY number").fetchall()
        values = np.concatenate([np.frombuffer(row[0], np.float64) for row in rows])
        values = values[: HISTORY // 500 * 500].reshape(500, -1)
        return values.argmin(axis=1), values.argmax(axis=1)

    def whole() -> None:
        (series,) = store.metric_series([run.run_id], ["loss"])
        assert len(series.values) == HISTORY

    def sampled() -> None:
        (series,) = store.metric_series([run.run_id], ["loss"], max_points=1000)
        assert 900 < len(series.values) <= 1002

    for name, ours, limit in (("whole", whole, limit_whole), ("sampled", sampled, limit_sampled)):
        a, b = best(ours), best(limit)
        say(
            f"1,000,000 points, {name}: {a * 1e3:.1f} ms;"
            f" the limit is {b * 1e3:.1f} (ratio {a / b:.2f})"
        )
    plain.close()


def param_values(i: int) -> dict[str, str]:
    return {f"p{j}": f"v{i * j % 97}" for j in range(PARAMS)}


def metric_values(i: int) -> dict[str, float]:
    return {f"m{j}": (i * 7919 + j) % 1000 / 1000 for j in range(METRICS)}


def many_runs(client: Client, runs: int) -> None:
    for i in range(runs):
        run = client.start_run(run_name=f"run-{i}")
        run.log_params(param_values(i))
        run.log_metrics(metric_values(i))
        run.end()
    client.flush(300)
    settled(client)


def settled(client: Client) -> None:
    """Wait until the writer has sealed all runs that ended."""
    conn = sqlite3.connect(client.path)
    while conn.execute("SELECT count(*) FROM unsealed_runs").fetchone()[0]:
        client.workspace.store.set_experiment_tags("0", {"tick": "tock"})
    conn.close()


def one_row_a_value(path: Path) -> Callable[[], object]:
    """Return what makes a frame of plain rows, one for each value, by sqlite3 and pandas."""
    import pandas as pd

    conn = sqlite3.connect(path)

    def frame() -> object:
        params = conn.execute("SELECT run_no, key, value FROM params").fetchall()
        metrics = conn.execute("SELECT run_no, key, last FROM metrics").fetchall()
        columns: dict[str, dict[int, Any]] = {}
        for run_no, key, value in [*params, *metrics]:
            columns.setdefault(key, {})[run_no] = value
        return pd.DataFrame(columns)

    return frame


def trackio_runs(folder: Path) -> tuple[Callable[[], object], Callable[[], object]] | None:
    """Return what makes a frame of Trackio's file as fast as its format allows, and the top 100."""
    if not has("trackio"):
        return None
    import pandas as pd

    os.environ["TRACKIO_DIR"] = str(folder / "trackio-runs")
    from trackio.sqlite_storage import SQLiteStorage

    for i in range(RUNS):
        SQLiteStorage.bulk_log("bench", f"run-{i}", [metric_values(i)], config=param_values(i))
    conn = sqlite3.connect(SQLiteStorage.get_project_db_path("bench"))

    def frame() -> object:
        rows = conn.execute(
            "SELECT m.run_name, m.metrics, c.config FROM metrics m"
            " JOIN configs c ON c.run_name = m.run_name"
        ).fetchall()
        return pd.DataFrame(
            [{"run": name, **json.loads(m), **json.loads(c)} for name, m, c in rows]
        )

    def top() -> object:
        return conn.execute(
            "SELECT run_name, metrics FROM metrics WHERE json_extract(metrics, '$.m3') > 0.5"
            " ORDER BY json_extract(metrics, '$.m3') DESC LIMIT 100"
        ).fetchall()

    return frame, top


def mlflow_runs(folder: Path, runs: int = 500) -> tuple[Callable[[], object], float] | None:
    """Return what makes MLflow's frame of some runs, and how many times as many ours are."""
    if not has("mlflow"):
        return None
    import mlflow
    from mlflow.entities import Metric, Param

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = mlflow.MlflowClient()
    for i in range(runs):
        run = client.create_run("0", run_name=f"run-{i}")
        client.log_batch(
            run.info.run_id,
            metrics=[Metric(key, value, 0, 0) for key, value in metric_values(i).items()],
            params=[Param(key, value) for key, value in param_values(i).items()],
        )
    return lambda: mlflow.search_runs(["0"], max_results=runs), RUNS / runs


def test_ten_thousand_runs(client: Client, workdir: Path, say: Callable[[str], None]) -> None:
    start = time.perf_counter()
    many_runs(client, RUNS)
    seconds = time.perf_counter() - start
    say(f"{RUNS:,} runs x {PARAMS + METRICS} columns: logged in {seconds:.1f} s")
    frame = best(lambda: nbtrack.search_runs(max_results=RUNS))
    assert len(nbtrack.search_runs(max_results=RUNS)) == RUNS
    query = RunQuery(filter="metrics.m3 > 0.5", order_by=["metrics.m3 DESC"], max_results=100)
    top = best(lambda: client.workspace.store.search_runs(query))
    limit = best(one_row_a_value(client.path), 3)
    say(f"  as a frame: {frame * 1e3:.0f} ms; one row a value {limit * 1e3:.0f}")
    say(f"  filter + order + top 100: {top * 1e3:.1f} ms")
    if trackio := trackio_runs(workdir):
        theirs, their_top = best(trackio[0], 3), best(trackio[1], 3)
        say(f"  Trackio: frame {theirs * 1e3:.0f} ms (we take {frame / theirs:.2f} of it),")
        say(f"    top 100 {their_top * 1e3:.1f} ms (we take {top / their_top:.2f} of it)")
    if mlflow := mlflow_runs(workdir):
        theirs = best(mlflow[0], 2) * mlflow[1]
        say(f"  MLflow: frame {theirs * 1e3:.0f} ms by as many runs ({theirs / frame:.0f} times)")


# ---------------------------------------------------------------------------------- big


@pytest.mark.skipif("NBTRACK_BIG" not in os.environ, reason="takes ten minutes: set NBTRACK_BIG=1")
def test_a_hundred_thousand_runs(workdir: Path, say: Callable[[str], None]) -> None:
    """Measure 100,000 runs with 100 million points: the first table, and a curve."""
    client = Client(workdir / "nbtrack.db")
    start = time.perf_counter()
    for i in range(100_000):
        run = client.start_run(run_name=f"run-{i}")
        run.log_params(param_values(i))
        run.log_metrics(metric_values(i))
        for step in range(1000):
            run.log_metric("loss", 1 / (1 + step), step)
        run.end()
    client.flush(3000)
    settled(client)
    size = client.path.stat().st_size / 2**20
    say(f"100,000 runs, 100 million points: {time.perf_counter() - start:.0f} s, {size:,.0f} MB")
    client.workspace.writer.close()
    reader = Client(workdir / "nbtrack.db").workspace.store
    run_id = reader.search_runs(RunQuery(max_results=1))[0].info.run_id
    table = best(lambda: reader.run_table(RunQuery(max_results=1000)))
    curve = best(lambda: reader.metric_series([run_id], ["loss"], max_points=1000))
    query = RunQuery(filter="metrics.m3 > 0.5", order_by=["metrics.m3 DESC"], max_results=100)
    top = best(lambda: reader.search_runs(query))
    say(f"first table of 1,000: {table * 1e3:.0f} ms; a curve: {curve * 1e3:.1f} ms;")
    say(f"filter + order + top 100: {top * 1e3:.1f} ms")
