"""Points of metrics on their way into the file: summaries kept, points packed into chunks.

A series ends in a chunk of fewer than `TAIL` points, which is written anew as long as it is so
small: it takes one page of the file, as a row of its own would. Longer ones stay as they are until
`MERGED` of them become one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from nbtrack import packing
from nbtrack.db import Connection, Fields, Loggable, storable
from nbtrack.store.records import run_number
from nbtrack.store.summary import Summary

CHUNK = 8192
TAIL = 256
MERGED = 16


@dataclass(slots=True)
class Series:
    """New points of one metric, by columns."""

    steps: list[int]
    timestamps: list[int]
    values: list[float]

    def extended(self, more: Series) -> Series:
        """Return these points and then others."""
        return Series(
            self.steps + more.steps, self.timestamps + more.timestamps, self.values + more.values
        )

    def parts(self) -> Iterator[Series]:
        """Yield the points, as many at once as a chunk takes."""
        for place in range(0, len(self.values), CHUNK):
            part = slice(place, place + CHUNK)
            yield Series(self.steps[part], self.timestamps[part], self.values[part])


@dataclass(frozen=True, slots=True)
class AddPoints(Loggable):
    """Points of some metrics of a run: key, value, timestamp and step of each."""

    run_id: str
    points: Sequence[tuple[str, float, int, int]]

    def pack(self) -> Fields:
        """Return the packed form."""
        return [self.run_id, list(self.points)]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes] = ()) -> Self:
        """Return the record that was packed."""
        return cls(*fields)

    def apply(self, conn: Connection) -> None:
        """Write them."""
        by_key: defaultdict[str, Series] = defaultdict(lambda: Series([], [], []))
        for key, value, timestamp, step in self.points:
            series = by_key[key]
            series.steps.append(step)
            series.timestamps.append(timestamp)
            series.values.append(value)
        run_no = run_number(conn, self.run_id)
        for key, series in by_key.items():
            add_series(conn, run_no, storable(key), series)


def add_series(conn: Connection, run_no: int, key: str, new: Series) -> int:
    """Add points to a metric of a run, and return the metric's id."""
    summary = Summary.of(new.steps, new.timestamps, new.values)
    row = conn.execute(
        "SELECT metric_id, first_step, first_timestamp, first, last_step, last_timestamp, last,"
        " min, max, count FROM metrics WHERE run_no = ? AND key = ?",
        (run_no, key),
    ).fetchone()
    if row is not None:
        summary.merge(
            Summary(
                (row[1], row[2], number(row[3])),
                (row[4], row[5], number(row[6])),
                number(row[7]),
                number(row[8]),
                row[9],
            )
        )
    columns = (*summary.first, *summary.last, summary.min, summary.max, summary.count)
    if row is None:
        (metric_id,) = conn.execute(
            "INSERT INTO metrics (run_no, key, first_step, first_timestamp, first, last_step,"
            " last_timestamp, last, min, max, count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " RETURNING metric_id",
            (run_no, key, *columns),
        ).fetchone()
        for part in new.parts():
            _write(conn, metric_id, part)
    else:
        metric_id = row[0]
        conn.execute(
            "UPDATE metrics SET first_step = ?, first_timestamp = ?, first = ?, last_step = ?,"
            " last_timestamp = ?, last = ?, min = ?, max = ?, count = ? WHERE metric_id = ?",
            (*columns, metric_id),
        )
        _append(conn, metric_id, new)
    return int(metric_id)


def _append(conn: Connection, metric_id: int, new: Series) -> None:
    tail = conn.execute(
        "SELECT chunk_id, data FROM metric_chunks WHERE chunk_id = (SELECT chunk_id FROM"
        " metric_chunks WHERE metric_id = ? ORDER BY chunk_id DESC LIMIT 1) AND count < ?",
        (metric_id, TAIL),
    ).fetchone()
    if tail is None:
        for part in new.parts():
            _write(conn, metric_id, part)
        _merge(conn, metric_id)
        return
    first, *others = Series(*packing.decode(tail[1])).extended(new).parts()
    _write(conn, metric_id, first, tail[0])
    for part in others:
        _write(conn, metric_id, part)


def _write(conn: Connection, metric_id: int, part: Series, chunk_id: int | None = None) -> None:
    conn.execute(
        "INSERT OR REPLACE INTO metric_chunks (chunk_id, metric_id, count, data)"
        " VALUES (?, ?, ?, ?)",
        (
            chunk_id,
            metric_id,
            len(part.values),
            packing.encode(part.steps, part.timestamps, part.values),
        ),
    )


def _merge(conn: Connection, metric_id: int) -> None:
    """Put the last chunks together when many of them are short."""
    rows = conn.execute(
        "SELECT chunk_id, count FROM metric_chunks WHERE metric_id = ?"
        " ORDER BY chunk_id DESC LIMIT ?",
        (metric_id, MERGED + 1),
    ).fetchall()
    short = []
    for chunk_id, count in rows[1:]:  # the first one is the tail, which still grows
        if count > CHUNK // 2:
            break
        short.append(chunk_id)
    if len(short) < MERGED:
        return
    short.sort()
    whole = Series([], [], [])
    for chunk_id in short:
        (data,) = conn.execute(
            "SELECT data FROM metric_chunks WHERE chunk_id = ?", (chunk_id,)
        ).fetchone()
        whole = whole.extended(Series(*packing.decode(data)))
    # In the place of the first ones, so that the order of coming stays.
    parts = list(whole.parts())
    for chunk_id, part in zip(short, parts, strict=False):
        _write(conn, metric_id, part, chunk_id)
    conn.executemany(
        "DELETE FROM metric_chunks WHERE chunk_id = ?",
        [(chunk_id,) for chunk_id in short[len(parts) :]],
    )


def number(value: Any) -> float:
    """Return a value of the file as a float: its NULL is NaN."""
    return math.nan if value is None else float(value)
