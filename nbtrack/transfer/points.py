"""Points of metrics: new series are copied as bytes, longer ones are gone on with.

Points stand in the order in which they came, and none is ever taken away. So of two copies of a
series the longer one is the later one, if it begins with all points of the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

from nbtrack import packing
from nbtrack.db import Connection
from nbtrack.errors import IntegrityError
from nbtrack.store.points import CHUNK, Series, add_series
from nbtrack.transfer.sqlite import Source

SUMMARY = "last, last_step, last_timestamp, first, first_step, first_timestamp, min, max, count"


class Difference(Enum):
    """How their copy of something stands to ours."""

    NONE = 0
    LONGER = 1
    SHORTER = 2
    CONFLICT = 3


def copy_series(source: Source, conn: Connection, metric_id: int, run_no: int) -> None:
    """Copy a metric that is not there.

    Raises
    ------
    IntegrityError
        Its chunks are none, or not as many points as it says.
    """
    row = source.row(f"SELECT key, {SUMMARY} FROM metrics WHERE metric_id = ?", (metric_id,))
    if row is None:
        raise IntegrityError(f"The metric {metric_id} is not in the source.")
    (new,) = conn.execute(
        f"INSERT INTO metrics (run_no, key, {SUMMARY})"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING metric_id",
        (run_no, *row),
    ).fetchone()
    total = 0
    for data in _chunks(source, metric_id):
        count = packing.length(data)
        conn.execute(
            "INSERT INTO metric_chunks (metric_id, count, data) VALUES (?, ?, ?)",
            (new, count, data),
        )
        total += count
    if total != row["count"]:
        raise IntegrityError(
            f"The metric {row['key']!r} has {total} points in the source, not {row['count']}."
        )


def bring_series(
    source: Source, conn: Connection, theirs: tuple[Any, ...], ours: tuple[Any, ...], run_no: int
) -> Difference:
    """Add the points that their copy of a metric has and ours has not.

    Parameters
    ----------
    theirs, ours
        Of each: metric_id, key, then `SUMMARY`.
    """
    if theirs[2:] == ours[2:]:
        return Difference.NONE
    if theirs[-1] < ours[-1]:
        return Difference.SHORTER
    if theirs[-1] == ours[-1]:
        return Difference.CONFLICT
    rest = _rest(_chunks(source, theirs[0]), _own_chunks(conn, ours[0]))
    if rest is None:
        return Difference.CONFLICT
    for start in range(0, len(rest[2]), CHUNK):
        steps, timestamps, values = (column[start : start + CHUNK].tolist() for column in rest)
        add_series(conn, run_no, ours[1], Series(steps, timestamps, values))
    return Difference.LONGER


def _chunks(source: Source, metric_id: int) -> Iterator[bytes]:
    rows = source.rows(
        "SELECT data FROM metric_chunks WHERE metric_id = ? ORDER BY chunk_id", (metric_id,)
    )
    for (data,) in rows:
        if not isinstance(data, bytes):
            raise IntegrityError("A chunk of points is no bytes in the source.")
        yield data


def _own_chunks(conn: Connection, metric_id: int) -> Iterator[bytes]:
    rows = conn.execute(
        "SELECT data FROM metric_chunks WHERE metric_id = ? ORDER BY chunk_id", (metric_id,)
    )
    return (data for (data,) in rows.fetchall())


def _rest(theirs: Iterator[bytes], ours: Iterator[bytes]) -> list[Any] | None:
    """Return their points after ours, as columns; None if they do not begin as ours."""
    import numpy as np

    # Most of a long series is packed in the same way in both, and not looked into.
    here, there = next(ours, None), next(theirs, None)
    while here is not None and here == there:
        here, there = next(ours, None), next(theirs, None)
    own = packing.decode_arrays([] if here is None else [here, *ours])
    other = packing.decode_arrays([] if there is None else [there, *theirs])
    length = len(own[2])
    for mine, others in zip(own, other, strict=True):
        if not np.array_equal(mine, others[:length], equal_nan=mine.dtype.kind == "f"):
            return None
    return [column[length:] for column in other]
