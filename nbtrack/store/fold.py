"""From a journal into the database: records applied in their order, points put into their series.

The same for what this process logs and for what a killed one left behind. Everything happens in
the transaction of the caller, on savepoints, so that a bad record spoils nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from nbtrack.db import Connection, Fields, Loggable, is_trouble, storable
from nbtrack.store import journal, journal_file, records
from nbtrack.store.points import AddPoints, Series, add_series

KINDS: Mapping[str, type[Loggable]] = {
    "create_run": records.CreateRun,
    "update_run": records.UpdateRun,
    "log_params": records.LogParams,
    "set_tags": records.SetTags,
    "link_metrics": records.LinkMetrics,
    "log_inputs": records.LogInputs,
    "log_model": records.LogModel,
    "begin_cell": records.BeginCell,
    "end_cell": records.EndCell,
    journal.ONE_POINT: AddPoints,
}
"""The store's records, by the name they have in a journal."""

OnFault = Callable[[str, Exception], None]
"""Told of a record that could not be stored: what it is, and why."""

_MAX_SERIES = 250_000

_Write = tuple[str, Callable[[], None]]  # what it is, and what does it


class Fold:
    """Applies the frames and points of one journal.

    Parameters
    ----------
    kinds
        Records by the name they have in the journal.
    on_fault
        Told what is left out.
    records, points
        How much of the journal is in the database already.
    """

    def __init__(
        self,
        kinds: Mapping[str, type[Loggable]],
        on_fault: OnFault,
        records: int = 0,
        points: int = 0,
    ) -> None:
        self._kinds = kinds
        self._on_fault = on_fault
        self._series: dict[int, tuple[str, str]] = {}
        self.records = records
        self.points = points

    def copy(self) -> Fold:
        """Return one at the same place: what is rolled back is not counted."""
        other = Fold(self._kinds, self._on_fault, self.records, self.points)
        other._series = self._series
        return other

    def catch_up(self, conn: Connection, session_id: str) -> None:
        """See what others have brought in, who took this process for dead: a sleeping laptop."""
        row = conn.execute(
            "SELECT journal_records, journal_points FROM sessions WHERE session_id = ?",
            (session_id,),
        ).fetchone()
        if row is not None:
            self.records, self.points = max(self.records, row[0]), max(self.points, row[1])

    def apply(self, conn: Connection, frames: Iterable[journal_file.Frame]) -> None:
        """Apply frames, without those that are in the database already."""
        todo: list[_Write] = []
        for frame in frames:
            if frame.kind == journal.SERIES:
                # Noted also from old frames: points that come later are its own.
                self._note_series(frame.fields)
            elif frame.number > self.records:
                todo.append((str(frame.kind), partial(self._apply, conn, frame)))
                if frame.kind == journal.POINTS:
                    # Counted as they are written: they must not be done again with the others.
                    self._write(conn, todo[:-1])
                    self._write(conn, todo[-1:])
                    todo = []
            self.records = max(self.records, frame.number)
        self._write(conn, todo)

    def _apply(self, conn: Connection, frame: journal_file.Frame) -> None:
        if frame.kind == journal.POINTS:
            (data,), (first,) = frame.blobs, frame.fields
            self.add_points(conn, data, int(first))
        else:
            self._kinds[frame.kind].unpack(frame.fields, frame.blobs).apply(conn)

    def _note_series(self, fields: Fields) -> None:
        if len(self._series) >= _MAX_SERIES:
            for old in list(self._series)[: _MAX_SERIES // 2]:
                del self._series[old]
        try:
            self._series |= journal_file.series_in(fields)
        except (TypeError, ValueError) as error:
            self._on_fault(journal.SERIES, error)

    def add_points(self, conn: Connection, data: bytes, first: int) -> None:
        """Add the points of slots, without those that are in the database already.

        Parameters
        ----------
        data
            Bytes of slots.
        first
            Ordinal of the first of them.
        """
        end = first + journal_file.count_points(data)
        if not 0 <= first <= end < 2**63:
            raise ValueError(f"{first} is no ordinal of a point")
        found: dict[int, Series] = {}
        for step, timestamp, value, series, _ in journal_file.points_in(
            journal_file.drop_points(data, self.points - first)
        ):
            columns = found.get(series)
            if columns is None:
                columns = found[series] = Series([], [], [])
            columns.steps.append(step)
            columns.timestamps.append(timestamp)
            columns.values.append(value)
        numbers: dict[str, int] = {}  # of runs

        def add(series: int, columns: Series) -> None:
            run_id, key = self._series[series]
            if run_id not in numbers:
                numbers[run_id] = records.run_number(conn, run_id)
            add_series(conn, numbers[run_id], storable(key), columns)

        self._write(
            conn,
            [("points", partial(add, series, columns)) for series, columns in found.items()],
        )
        self.points = max(self.points, end)

    def _write(self, conn: Connection, todo: Sequence[_Write]) -> None:
        """Do all of it; if one of them is at fault, each on a savepoint of its own."""
        conn.execute("SAVEPOINT writes")
        try:
            for _, write in todo:
                write()
        except Exception as error:
            if is_trouble(error):
                raise  # the file's fault, not the record's
            conn.execute("ROLLBACK TO writes")
            if len(todo) == 1:
                self._on_fault(todo[0][0], error)
            else:
                for one in todo:
                    self._write(conn, [one])
        conn.execute("RELEASE writes")


def note_progress(conn: Connection, session_id: str, fold: Fold) -> None:
    """Keep with the data how much of a session's journal it is."""
    conn.execute(
        "UPDATE sessions SET journal_records = ?, journal_points = ? WHERE session_id = ?",
        (fold.records, fold.points, session_id),
    )


def names(kinds: Mapping[str, type[Loggable]]) -> Mapping[type[Loggable], str]:
    """Return the names of records by their class.

    Examples
    --------
    >>> names(KINDS)[records.SetTags]
    'set_tags'
    """
    return {kind: name for name, kind in kinds.items()}
