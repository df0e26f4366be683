"""Points on their way into the file: whatever the batches, it is as if they had come at once."""

from __future__ import annotations

import itertools
import math
import random
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbtrack import packing
from nbtrack.db import connect_writer
from nbtrack.errors import NotFoundError
from nbtrack.store import points as module
from nbtrack.store.points import AddPoints, Series, add_series

from .journaling import begin

RUN = "a" * 32
Point = tuple[int, int, float]  # step, timestamp, value

_values = st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 1.5]) | st.floats()
_numbers = st.integers(-5, 5) | st.integers(-(2**63), 2**63 - 1)
_any_points = st.lists(st.tuples(_numbers, _numbers, _values), min_size=1, max_size=40)


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    conn = connect_writer(tmp_path / "nbtrack.db")
    conn.execute("PRAGMA synchronous = OFF")
    begin(RUN).apply(conn)
    yield conn
    conn.close()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have chunks so small that they are cut and merged all the time."""
    monkeypatch.setattr(module, "CHUNK", 16)
    monkeypatch.setattr(module, "TAIL", 4)
    monkeypatch.setattr(module, "MERGED", 3)


def add(conn: sqlite3.Connection, key: str, found: Sequence[Point]) -> None:
    conn.execute("BEGIN")
    AddPoints(RUN, [(key, value, time, step) for step, time, value in found]).apply(conn)
    conn.execute("COMMIT")


def stored(conn: sqlite3.Connection, key: str) -> list[bytes]:
    """Return all points, bit by bit, in the order of their coming."""
    chunks = conn.execute(
        "SELECT c.count, data FROM metrics JOIN metric_chunks c USING (metric_id) WHERE key = ?"
        " ORDER BY chunk_id",
        (key,),
    ).fetchall()
    found = []
    for count, data in chunks:
        steps, times, values = packing.decode(data)
        assert len(values) == count
        found += [struct.pack("<qqd", *point) for point in zip(steps, times, values, strict=True)]
    return found


def packed(found: Sequence[Point]) -> list[bytes]:
    return [struct.pack("<qqd", *point) for point in found]


def summary(conn: sqlite3.Connection, key: str) -> tuple[Any, ...]:
    row = conn.execute(
        "SELECT first_step, first_timestamp, first, last_step, last_timestamp, last, min, max,"
        " count FROM metrics WHERE key = ?",
        (key,),
    ).fetchone()
    return tuple(row)


def sizes(conn: sqlite3.Connection) -> list[int]:
    return [row[0] for row in conn.execute("SELECT count FROM metric_chunks ORDER BY chunk_id")]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(found=_any_points, cuts=st.lists(st.integers(1, 39), max_size=12))
@pytest.mark.usefixtures("tiny")
def test_batches_are_as_one(conn: sqlite3.Connection, found: list[Point], cuts: list[int]) -> None:
    conn.execute("DELETE FROM metrics")
    places = [0, *sorted(cuts), len(found)]
    for i, place in enumerate(places[1:]):
        if part := found[places[i] : place]:
            add(conn, "parts", part)
    add(conn, "whole", found)
    assert stored(conn, "parts") == stored(conn, "whole") == packed(found)
    assert summary(conn, "parts") == summary(conn, "whole")


@pytest.mark.usefixtures("tiny")
def test_long_series_in_batches_of_any_size(conn: sqlite3.Connection) -> None:
    generator = random.Random(1)
    found: list[Point] = []
    for _ in range(300):
        more = [
            (len(found) + i, generator.randrange(99), generator.random())
            for i in range(generator.choice([1, 1, 2, 3, 7, 20, 50]))
        ]
        add(conn, "m", more)
        found += more
        # Between full chunks there are not more short ones than are merged at once.
        short = itertools.groupby(sizes(conn), lambda size: size <= 16 // 2)
        assert max((len(list(run)) for is_short, run in short if is_short), default=0) <= 2 * 3
    assert stored(conn, "m") == packed(found)
    assert max(sizes(conn)) <= 16
    assert len(sizes(conn)) < len(found) / 16 * 2.5


def test_a_loop_that_is_written_point_by_point(conn: sqlite3.Connection) -> None:
    found = [(i, 1_700_000_000_000 + 60_000 * i + i % 7, i / 3) for i in range(3_000)]
    for point in found:
        add(conn, "m", [point])
    assert stored(conn, "m") == packed(found)
    assert len(sizes(conn)) <= 3_000 // module.TAIL + 1


def test_points_at_rest_take_12_bytes_each(conn: sqlite3.Connection) -> None:
    """Of a loop that logs each step, in batches as the writer has them."""
    count = 200_000
    at = 0
    while at < count:
        more = min(700, count - at)
        steps = range(at, at + more)
        add(conn, "m", [(i, 1_700_000_000_000 + 2 * i + i % 3, i / 7) for i in steps])
        at += more
    (total,) = conn.execute("SELECT sum(length(data)) FROM metric_chunks").fetchone()
    assert total < 12.1 * count
    (pages,) = conn.execute(
        "SELECT sum(pgsize) FROM dbstat WHERE name = 'metric_chunks'"
    ).fetchone()
    assert pages < 14 * count
    assert len(sizes(conn)) < 60


def test_points_of_several_metrics_in_one_record(conn: sqlite3.Connection) -> None:
    points = [("a", 1.0, 0, 0), ("b", 2.0, 0, 0), ("a", 3.0, 0, 1), ("b\0", 4.0, 0, 5)]
    AddPoints(RUN, points).apply(conn)
    assert stored(conn, "a") == packed([(0, 0, 1.0), (1, 0, 3.0)])
    assert stored(conn, "b") == packed([(0, 0, 2.0)])
    assert stored(conn, "b\N{REPLACEMENT CHARACTER}") == packed([(5, 0, 4.0)])


def test_points_of_no_run(conn: sqlite3.Connection) -> None:
    with pytest.raises(NotFoundError, match=r"f{32}"):
        AddPoints("f" * 32, [("m", 1.0, 0, 0)]).apply(conn)


def test_a_metric_keeps_its_id(conn: sqlite3.Connection) -> None:
    (run_no,) = conn.execute("SELECT run_no FROM runs").fetchone()
    first = add_series(conn, run_no, "m", Series([0], [0], [math.nan]))
    assert add_series(conn, run_no, "m", Series([1], [0], [2.0])) == first
    assert summary(conn, "m") == (0, 0, None, 1, 0, 2.0, 2.0, 2.0, 2)


def test_a_record_comes_back_from_its_packed_form() -> None:
    record = AddPoints(RUN, [("m", 1.0, 0, 0)])
    assert AddPoints.unpack(record.pack()) == record
