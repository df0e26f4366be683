"""Runs that ended, as a table reads them: one row each, instead of one for each value.

A frame of 10,000 runs with 40 values is 400,000 rows of ``params`` and ``metrics``. Here it is
10,000, and as most runs have the same keys, these are kept once (``shapes``): their values lie side
by side and become columns without an object for each. Triggers delete the row of a run, and note
it in ``unsealed_runs``, whenever one of its values changes; so a row that is there is right.

``params`` and ``tags`` are JSON arrays of values; ``lasts`` has a float64 for each metric, which is
all that a table needs, and ``metrics`` the whole `METRIC` of each.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nbtrack.db import Connection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

METRIC = struct.Struct("<ddddqqq")
SUMMARY = ("last", "first", "min", "max", "last_step", "last_timestamp", "count")  # its fields
_AT_ONCE = 200


def seal_ended(conn: Connection) -> None:
    """Make the rows of runs that ended and have none, in the transaction of the caller."""
    ended = conn.execute(
        "SELECT run_no FROM unsealed_runs JOIN runs USING (run_no)"
        " WHERE status NOT IN ('RUNNING', 'SCHEDULED') LIMIT ?",
        (_AT_ONCE,),
    ).fetchall()
    for (run_no,) in ended:
        _seal(conn, run_no)


def _seal(conn: Connection, run_no: int) -> None:
    params = _pairs(conn, "params", run_no)
    tags = _pairs(conn, "tags", run_no)
    rows = conn.execute(
        f"SELECT key, {', '.join(SUMMARY)} FROM metrics WHERE run_no = ? ORDER BY key", (run_no,)
    ).fetchall()
    # The file's NULL is NaN.
    metrics = [[math.nan if value is None else value for value in row[1:]] for row in rows]
    conn.execute(
        "INSERT OR REPLACE INTO sealed_runs (run_no, param_shape, params, tag_shape, tags,"
        " metric_shape, lasts, metrics) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run_no,
            _shape(conn, [key for key, _ in params]),
            json.dumps([value for _, value in params]),
            _shape(conn, [key for key, _ in tags]),
            json.dumps([value for _, value in tags]),
            _shape(conn, [row[0] for row in rows]),
            struct.pack(f"<{len(metrics)}d", *(summary[0] for summary in metrics)),
            b"".join(METRIC.pack(*summary) for summary in metrics),
        ),
    )
    conn.execute("DELETE FROM unsealed_runs WHERE run_no = ?", (run_no,))


def _pairs(conn: Connection, table: str, run_no: int) -> list[tuple[str, str]]:
    return conn.execute(
        f"SELECT key, value FROM {table} WHERE run_no = ? ORDER BY key", (run_no,)
    ).fetchall()


def _shape(conn: Connection, keys: Sequence[str]) -> int:
    text = json.dumps(keys)
    row = conn.execute("SELECT shape_id FROM shapes WHERE keys = ?", (text,)).fetchone()
    if row is None:
        row = conn.execute(
            "INSERT INTO shapes (keys) VALUES (?) RETURNING shape_id", (text,)
        ).fetchone()
    return int(row[0])


def places_of(keys: Sequence[int | None]) -> dict[int, list[int]]:
    """Return where in a sequence each key stands; None is no key.

    Examples
    --------
    >>> places_of([7, None, 7, 8])
    {7: [0, 2], 8: [3]}
    """
    found: dict[int, list[int]] = {}
    for place, key in enumerate(keys):
        if key is not None:
            found.setdefault(key, []).append(place)
    return found


class TextColumns:
    """Params or tags of runs, by key: put together from rows of some shapes, and single values."""

    def __init__(self, length: int, shapes: Mapping[int, Sequence[str]]) -> None:
        self._length = length
        self._shapes = shapes
        self.columns: dict[str, list[str | None]] = {}

    def add_rows(self, shape: int, places: Sequence[int], rows: Sequence[str]) -> None:
        """Add rows of one shape: JSON arrays of values, and where each belongs."""
        keys = self._shapes[shape]
        if not keys:
            return
        # One call for all of them: a thousand are parsed in the time of a hundred calls.
        values = json.loads(f"[{','.join(rows)}]")
        whole = len(places) == self._length
        for key, column in zip(keys, zip(*values, strict=True), strict=True):
            if whole:
                self.columns[key] = list(column)
                continue
            target = self._column(key)
            if places[-1] - places[0] == len(places) - 1:
                target[places[0] : places[-1] + 1] = column
                continue
            for place, value in zip(places, column, strict=True):
                target[place] = value

    def add(self, place: int, key: str, value: str) -> None:
        """Add one value."""
        self._column(key)[place] = value

    def _column(self, key: str) -> list[str | None]:
        found = self.columns.get(key)
        if found is None:
            found = self.columns[key] = [None] * self._length
        return found


class NumberColumns:
    """Last values of the metrics of runs, by key, put together in the same way; NaN: missing."""

    def __init__(self, length: int, shapes: Mapping[int, Sequence[str]]) -> None:
        self._length = length
        self._shapes = shapes
        self.columns: dict[str, NDArray[np.float64]] = {}

    def add_rows(self, shape: int, places: Sequence[int], rows: Sequence[bytes]) -> None:
        """Add rows of one shape: a float64 for each key, and where each row belongs."""
        import numpy as np

        keys = self._shapes[shape]
        if not keys:
            return
        values = np.frombuffer(b"".join(rows), "<f8").reshape(len(rows), len(keys))
        # Runs of one kind mostly stand together: then nothing is looked up.
        together = places[-1] - places[0] == len(places) - 1
        where = slice(places[0], places[-1] + 1) if together else np.asarray(places)
        for i, key in enumerate(keys):
            if len(places) == self._length:
                self.columns[key] = values[:, i]
            else:
                self._column(key)[where] = values[:, i]

    def add(self, place: int, key: str, value: float) -> None:
        """Add one value."""
        self._column(key)[place] = value

    def _column(self, key: str) -> NDArray[np.float64]:
        import numpy as np

        found = self.columns.get(key)
        if found is None:
            found = self.columns[key] = np.full(self._length, np.nan)
        return found
