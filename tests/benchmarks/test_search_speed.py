"""What searches cost, against SQL by hand: ``pytest -s tests/benchmarks/test_search_speed.py``.

Times are the best of several. ``NBTRACK_BENCH_RUNS=100000`` makes the larger file as wide as the
smaller one (20 params and 20 metrics of a run, 360 MB); else it has two of each.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbtrack.db import Connection, connect_reader, connect_writer
from nbtrack.store.search import register, select_runs

pytestmark = pytest.mark.benchmark

BY_HAND = """
    SELECT r.*, x.name FROM metrics m JOIN params p ON p.run_no = m.run_no
    JOIN runs r ON r.run_no = m.run_no JOIN experiments x USING (experiment_id)
    WHERE m.key = 'acc' AND m.last > 0.5 AND p.key = 'model' AND p.value = 'm3'
    AND r.lifecycle_stage = 'active' ORDER BY m.last DESC, r.start_time DESC, r.run_id LIMIT 100
"""
NEWEST_BY_HAND = """
    SELECT r.*, x.name FROM runs r JOIN experiments x USING (experiment_id)
    WHERE r.lifecycle_stage = 'active' ORDER BY r.start_time DESC, r.run_id LIMIT 100
"""
SORTED_BY_HAND = """
    SELECT r.*, x.name FROM runs r JOIN experiments x USING (experiment_id)
    LEFT JOIN metrics m ON m.run_no = r.run_no AND m.key = ?
    WHERE r.lifecycle_stage = 'active'
    ORDER BY m.run_no IS NULL, m.last DESC NULLS LAST, r.start_time DESC, r.run_id LIMIT 100
"""
OTHERS: list[tuple[str, str, list[str]]] = [
    ("many pass, newest first", "metrics.acc > 0.5 AND params.model = 'm3'", []),
    ("few pass, by a metric", "metrics.acc > 0.9999", []),
    ("none pass, by a param", "params.model = 'none'", []),
    ("none pass, by a minimum", "metrics.acc.min < -1", []),
    ("OR", "metrics.acc > 0.9 OR params.model = 'm3'", []),
    ("NOT", "NOT params.model = 'm3'", []),
    ("ILIKE", "params.model ILIKE 'M3'", ["metrics.acc DESC"]),
    ("sorted by a param", "", ["params.model"]),
    ("sorted by name", "", ["run_name"]),
    ("sorted by end", "", ["end_time DESC"]),
    ("sorted by duration", "", ["duration_ms DESC"]),
]


def build(path: Path, runs: int, keys: int) -> None:
    random_ = random.Random(0)
    numbers = range(1, runs + 1)
    conn = connect_writer(path)
    conn.execute("PRAGMA synchronous = OFF")
    conn.execute("BEGIN")
    conn.executemany(
        "INSERT INTO runs (run_no, run_id, run_name, experiment_id, status, start_time, end_time,"
        " user_id) VALUES (?, ?, ?, 0, 'FINISHED', ?, ?, 'me')",
        (
            (n, f"{random_.getrandbits(128):032x}", f"run-{n}", n * 1000, n * 1000 + n % 977)
            for n in numbers
        ),
    )
    conn.executemany(
        "INSERT INTO params VALUES (?, ?, ?)",
        (
            (n, f"p{k}" if k else "model", str(random_.random()) if k else f"m{n * 7 % 10}")
            for n in numbers
            for k in range(keys)
        ),
    )
    conn.executemany(
        "INSERT INTO metrics (run_no, key, last, last_step, last_timestamp, first, first_step,"
        " first_timestamp, min, max, count) VALUES (?, ?, ?, 9, 0, 0, 0, 0, 0, 1, 10)",
        ((n, f"m{k}" if k else "acc", random_.random()) for n in numbers for k in range(keys)),
    )
    conn.execute("COMMIT")
    conn.close()


@pytest.fixture(scope="module", params=[10_000, 100_000], ids=lambda runs: f"{runs} runs")
def conn(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    runs = request.param
    wide = runs == 10_000 or os.environ.get("NBTRACK_BENCH_RUNS") == str(runs)
    path = tmp_path_factory.mktemp("speed") / "nbtrack.db"
    build(path, runs, 20 if wide else 2)
    conn = connect_reader(path)
    conn.row_factory = None
    register(conn)
    yield conn
    conn.close()


def best(conn: Connection, sql: str, args: tuple[Any, ...] = ()) -> tuple[float, list[Any]]:
    times = []
    for _ in range(7):
        start = time.perf_counter()
        rows = conn.execute(sql, args).fetchall()
        times.append(time.perf_counter() - start)
    return min(times), rows


def ours(conn: Connection, filter_text: str, order: list[str]) -> tuple[float, list[Any]]:
    active = ("r.lifecycle_stage = ?", ["active"])
    return best(conn, *select_runs(filter_text, order).query("r.*, x.name", active, limit=100))


@pytest.mark.parametrize(
    ("name", "hand", "args", "filter_text", "order"),
    [
        ("best of a model", BY_HAND, (), "metrics.acc > 0.5 AND params.model = 'm3'",
         ["metrics.acc DESC"]),
        ("newest", NEWEST_BY_HAND, (), "", []),
        ("sorted by a metric", SORTED_BY_HAND, ("acc",), "", ["metrics.acc DESC"]),
        ("sorted by a missing metric", SORTED_BY_HAND, ("none",), "", ["metrics.none DESC"]),
    ],
)  # fmt: skip
def test_as_fast_as_by_hand(
    conn: Connection,
    capsys: pytest.CaptureFixture[str],
    *,
    name: str,
    hand: str,
    args: tuple[Any, ...],
    filter_text: str,
    order: list[str],
) -> None:
    theirs, expected = best(conn, hand, args)
    mine, found = ours(conn, filter_text, order)
    with capsys.disabled():
        print(f"\n{name:28} {mine * 1e3:8.2f} ms, by hand {theirs * 1e3:8.2f} ms,"
              f" ratio {mine / theirs:.2f}")  # fmt: skip
    assert found == expected


def test_other_searches(conn: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print()
        for name, filter_text, order in OTHERS:
            seconds, rows = ours(conn, filter_text, order)
            print(f"{name:28} {seconds * 1e3:8.2f} ms, {len(rows)} rows")


def test_making_the_sql(capsys: pytest.CaptureFixture[str]) -> None:
    start = time.perf_counter()
    for _ in range(1000):
        select_runs("metrics.acc > 0.5 AND params.model = 'm3'", ["metrics.acc DESC"])
    with capsys.disabled():
        print(f"\nmaking the SQL: {(time.perf_counter() - start) * 1e3:.0f} us")
