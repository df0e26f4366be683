"""Logging and reading against the limit: ``pytest -s tests/benchmarks/test_store_speed.py``.

The limit is plain ``sqlite3`` doing the same work with nothing around it, in the same process run.
MLflow and Trackio are measured beside it where they are installed.
"""

from __future__ import annotations

import importlib.util
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
        pending.append((1, step, time.time_ns() // 1_000_000, 0.5 * step))
    ended.set()
    thread.join()
    return time.perf_counter() - start


def test_a_call(client: Client, say: Callable[[str], None]) -> None:
    """Measure what one call costs its caller, and what a bare list would."""
    rows: list[tuple[str, float, int, int]] = []

    def bare() -> None:
        for step in range(POINTS):
            rows.append(("loss", 0.5 * step, step, time.time_ns() // 1_000_000))
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
            f"{name}: {cost:.2f} us CPU of the caller; a list takes {floor:.2f} (ratio {cost / floor:.1f})"
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
    conn.execute("CREATE TABLE IF NOT EXISTS points (metric INTEGER, step INTEGER, time INTEGER, value REAL)")
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
    plain.execute(
        "CREATE TABLE chunks (number INTEGER PRIMARY KEY, steps BLOB, times BLOB, data BLOB)"
    )
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
            f"1,000,000 points, {name}: {a * 1e3:.1f} ms; the limit is {b * 1e3:.1f} (ratio {a / b:.2f})"
        )
    plain.close()


def many_runs(client: Client, runs: int) -> None:
    for i in range(runs):
        run = client.start_run(f"run-{i}")
        run.log_params({f"p{j}": f"v{i * j % 97}" for j in range(PARAMS)})
        run.log_metrics({f"m{j}": (i * 7919 + j) % 1000 / 1000 for j in range(METRICS)})
        run.end()
    client.flush(120)
    client.flush(120)


def test_ten_thousand_runs(client: Client, workdir: Path, say: Callable[[str], None]) -> None:
    start = time.perf_counter()
    many_runs(client, RUNS)
    say(f"{RUNS:,} runs x {PARAMS + METRICS} columns logged in {time.perf_counter() - start:.1f} s")
    frame = best(lambda: nbtrack.search_runs(max_results=RUNS))
    wide = best(lambda: nbtrack.runs(max_results=RUNS))
    assert len(nbtrack.search_runs(max_results=RUNS)) == RUNS
    store = client.workspace.store
    top = best(
        lambda: store.search_runs(
            RunQuery(filter="metrics.m3 > 0.5", order_by=["metrics.m3 DESC"], max_results=100)
        )
    )
    conn = sqlite3.connect(client.path)
    limit_top = best(
        lambda: conn.execute(
            "SELECT r.* FROM metrics m JOIN runs r USING (run_no) WHERE m.key = 'm3'"
            " AND m.last > 0.5 ORDER BY m.last DESC LIMIT 100"
        ).fetchall()
    )
    limit = best(
        lambda: (
            conn.execute("SELECT run_no, key, value FROM params").fetchall(),
            conn.execute("SELECT run_no, key, last FROM metrics").fetchall(),
        )
    )
    conn.close()
    say(
        f"as a frame: {frame * 1e3:.0f} ms (for people: {wide * 1e3:.0f}); one row a value, fetched only: {limit * 1e3:.0f} (ratio {frame / limit:.2f})"
    )
    say(f"filter + order + top 100: {top * 1e3:.1f} ms; the limit is {limit_top * 1e3:.1f}")
