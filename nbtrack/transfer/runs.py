"""One run on its way from a file to another, whole, in the transaction of the caller.

A run that is not there is copied. Of one that is there, what grows is compared: the points of each
metric, the values that each param had, the points of models. A copy that begins like the other one
and goes on is the later one; where neither does, that is a conflict, and ours stays. The rest
(state, name, tags, files), of which no history is kept, is theirs if the run is longer there in any
of these, and nowhere longer here; or if it has ended there, and not here. Nothing is taken away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nbtrack.artifacts.records import put_path
from nbtrack.db import Connection
from nbtrack.errors import IntegrityError
from nbtrack.transfer import around
from nbtrack.transfer.blobs import copy_blob
from nbtrack.transfer.checks import check_id, check_times, goes_on
from nbtrack.transfer.logged import bring_uses, models_of, put_model, update_model
from nbtrack.transfer.points import SUMMARY, Difference, bring_series, copy_series
from nbtrack.transfer.report import MergeReport
from nbtrack.transfer.sqlite import Row, Source
from nbtrack.types import LifecycleStage, RunStatus

_OWN = "run_name, status, start_time, end_time, user_id, error"
_LINKED = "key, value, step, timestamp, model_id, dataset_name, dataset_digest"
_OPEN = (RunStatus.RUNNING, RunStatus.SCHEDULED)


@dataclass(slots=True)
class _Ours:
    """A run that is here, and how it stands to the copy that comes."""

    run_id: str
    run_no: int
    row: tuple[Any, ...]  # what `_OWN` names
    report: MergeReport
    is_longer: bool = False
    theirs_is_longer: bool = False
    changed: bool = False
    conflicts: list[str] = field(default_factory=list)

    def note(self, difference: Difference, what: str) -> None:
        """Note how something of the two copies differs."""
        self.is_longer |= difference is Difference.SHORTER
        if difference is Difference.LONGER:
            self.theirs_is_longer = self.changed = True
        if difference is Difference.CONFLICT:
            self.conflict(what)

    def conflict(self, what: str) -> None:
        """Note that something differs, and neither copy is the later one."""
        self.conflicts.append(f"{what} of the run {self.row[0]} ({self.run_id[:8]})")

    def include(self, done: tuple[bool, list[str]]) -> None:
        """Note whether something changed, and in what the copies differ."""
        self.changed |= done[0]
        for what in done[1]:
            self.conflict(what)


def bring_run(source: Source, conn: Connection, run_no: int, *, dry_run: bool) -> MergeReport:
    """Bring a run over; return what was done.

    Raises
    ------
    NbtrackError
        It says what cannot be.
    """
    report = MergeReport()
    row = source.row(
        f"SELECT run_id, experiment_id, parent_run_id, session_id, execution_id, lifecycle_stage,"
        f" deleted_time, {_OWN} FROM runs WHERE run_no = ?",
        (run_no,),
    )
    if row is None:
        raise IntegrityError(f"The run {run_no} is not in the source.")
    run_id = check_id(row["run_id"])
    RunStatus(row["status"])
    LifecycleStage(row["lifecycle_stage"])
    check_times(row["start_time"], row["end_time"], row["deleted_time"])
    around.bring_session(source, conn, row["session_id"])
    around.bring_execution(source, conn, row["execution_id"])
    ours = conn.execute(f"SELECT run_no, {_OWN} FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if ours is None:
        _copy(source, conn, run_no, row, report, dry_run=dry_run)
        report.added.append(run_id)
        return report
    copy = _Ours(run_id, ours[0], ours[1:], report)
    _bring_up_to_date(source, conn, run_no, row, copy, dry_run=dry_run)
    if copy.changed:
        report.updated.append(run_id)
    else:
        report.unchanged += 1
    for what in copy.conflicts:
        report.conflicts.append(f"The {what} differs in the two files: ours is kept.")
    return report


# ----------------------------------------------------------------------------- a new run


def _copy(
    source: Source, conn: Connection, run_no: int, row: Row, report: MergeReport, *, dry_run: bool
) -> None:
    run_id = row["run_id"]
    experiment_id = around.bring_experiment(source, conn, row["experiment_id"], report)
    (new,) = conn.execute(
        "INSERT INTO runs (run_id, experiment_id, parent_run_id, session_id, execution_id,"
        f" lifecycle_stage, deleted_time, {_OWN})"
        " VALUES (?, ?, ?, (SELECT session_id FROM sessions WHERE session_id = ?),"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING run_no",
        (run_id, experiment_id, *tuple(row)[2:]),
    ).fetchone()
    for table, columns in (
        ("params", "key, value"),
        ("tags", "key, value"),
        ("param_history", "key, value, time_ms"),
        ("model_metrics", _LINKED),
    ):
        marks = ", ".join("?" * (columns.count(",") + 1))
        order = "key" if columns == "key, value" else "rowid"
        conn.executemany(
            f"INSERT INTO {table} (run_no, {columns}) VALUES ({new}, {marks})",
            map(
                tuple,
                source.rows(
                    f"SELECT {columns} FROM {table} WHERE run_no = ? ORDER BY {order}", (run_no,)
                ),
            ),
        )
    for (metric_id,) in source.rows(
        "SELECT metric_id FROM metrics WHERE run_no = ? ORDER BY metric_id", (run_no,)
    ):
        copy_series(source, conn, metric_id, new)
    around.bring_inputs(source, conn, run_id)
    for file in _artifacts(source, run_id):
        _put_artifact(source, conn, file, report, dry_run=dry_run)
    for model in models_of(source, run_id):
        put_model(source, conn, run_id, model)
    bring_uses(source, conn, run_id)


def _artifacts(source: Source, run_id: str) -> Iterable[Row]:
    return source.rows(
        "SELECT run_id, path, digest FROM artifacts WHERE run_id = ? ORDER BY path", (run_id,)
    )


def _put_artifact(
    source: Source, conn: Connection, file: Row, report: MergeReport, *, dry_run: bool
) -> None:
    run_id, path, digest = file
    size = copy_blob(source, conn, digest, dry_run=dry_run)
    if size is not None:
        report.files += 1
        report.bytes += size
    put_path(conn, run_id, path, digest)


# ----------------------------------------------------------------------------- one that is here


def _bring_up_to_date(
    source: Source, conn: Connection, run_no: int, row: Row, ours: _Ours, *, dry_run: bool
) -> None:
    _bring_params(source, conn, run_no, ours)
    _bring_metrics(source, conn, run_no, ours)
    _bring_linked(source, conn, run_no, ours)
    ours.changed |= around.bring_inputs(source, conn, ours.run_id)
    theirs_is_later = _bring_state(conn, row, ours)
    _bring_tags(source, conn, run_no, ours, theirs_is_later)
    _bring_files(source, conn, ours, theirs_is_later, dry_run=dry_run)


def _bring_metrics(source: Source, conn: Connection, run_no: int, ours: _Ours) -> None:
    columns = f"metric_id, key, {SUMMARY} FROM metrics WHERE run_no = ? ORDER BY metric_id"
    here = {row[1]: row for row in conn.execute(f"SELECT {columns}", (ours.run_no,))}
    for there in map(tuple, source.rows(f"SELECT {columns}", (run_no,))):
        mine = here.pop(there[1], None)
        if mine is None:
            copy_series(source, conn, there[0], ours.run_no)
            difference = Difference.LONGER
        else:
            difference = bring_series(source, conn, there, mine, ours.run_no)
        ours.note(difference, f"metric {there[1]!r}")
    ours.is_longer |= bool(here)


def _values(rows: Iterable[Any]) -> dict[str, list[tuple[str, int | None]]]:
    """Return the values that each param had, with the time when it was replaced."""
    values: defaultdict[str, list[tuple[str, int | None]]] = defaultdict(list)
    for key, value, time_ms in rows:
        values[key].append((value, time_ms))
    return values


_PARAMS = (
    "SELECT key, value, time_ms FROM (SELECT key, value, time_ms, rowid AS place FROM param_history"
    " WHERE run_no = ?1 UNION ALL SELECT key, value, NULL, 9e18 FROM params WHERE run_no = ?1)"
    " ORDER BY key, place"
)


def _bring_params(source: Source, conn: Connection, run_no: int, ours: _Ours) -> None:
    here = _values(conn.execute(_PARAMS, (ours.run_no,)))
    for key, there in _values(source.rows(_PARAMS, (run_no,))).items():
        mine = here.pop(key, [])
        difference = _compare([value for value, _ in there], [value for value, _ in mine])
        ours.note(difference, f"param {key!r}")
        if difference is not Difference.LONGER:
            continue
        conn.executemany(
            "INSERT INTO param_history (run_no, key, value, time_ms) VALUES (?, ?, ?, ?)",
            [(ours.run_no, key, *pair) for pair in there[max(len(mine) - 1, 0) : -1]],
        )
        conn.execute(
            "INSERT INTO params (run_no, key, value) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET value = excluded.value",
            (ours.run_no, key, there[-1][0]),
        )
    ours.is_longer |= bool(here)


def _bring_linked(source: Source, conn: Connection, run_no: int, ours: _Ours) -> None:
    select = f"SELECT {_LINKED} FROM model_metrics WHERE run_no = ? ORDER BY rowid"
    here = conn.execute(select, (ours.run_no,)).fetchall()
    there = [tuple(row) for row in source.rows(select, (run_no,))]
    difference = _compare(there, here)
    ours.note(difference, "record of models' metrics")
    if difference is Difference.LONGER:
        conn.executemany(
            f"INSERT INTO model_metrics (run_no, {_LINKED}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(ours.run_no, *row) for row in there[len(here) :]],
        )


def _compare(theirs: list[Any], ours: list[Any]) -> Difference:
    if theirs == ours:
        return Difference.NONE
    if goes_on(theirs, ours):
        return Difference.LONGER
    return Difference.SHORTER if goes_on(ours, theirs) else Difference.CONFLICT


def _bring_state(conn: Connection, row: Row, ours: _Ours) -> bool | None:
    """Take the state over if theirs is the later one.

    Returns
    -------
    bool or None
        Whether theirs is later; None if that cannot be told.
    """
    _, status, _, end_time, _, _ = ours.row
    if ours.is_longer and not ours.theirs_is_longer:
        return False
    is_open, is_open_there = status in _OPEN, row["status"] in _OPEN
    if ours.is_longer == ours.theirs_is_longer:  # both went on, or none
        if is_open_there and not is_open:
            return False
        ended_later = not ours.is_longer and (row["end_time"] or 0) > (end_time or 0)
        if is_open_there or not (is_open or ended_later):
            return None
    changes = {name: row[name] for name in ("status", "end_time", "error")}
    ours.changed |= tuple(changes.values()) != (status, end_time, ours.row[5])
    conn.execute(
        "UPDATE runs SET status = :status, end_time = :end_time, error = :error"
        " WHERE run_no = :run_no",
        {**changes, "run_no": ours.run_no},
    )
    return None if ours.is_longer else True


def _bring_tags(
    source: Source, conn: Connection, run_no: int, ours: _Ours, later: bool | None
) -> None:
    select = "SELECT key, value FROM tags WHERE run_no = ?"
    here = dict(conn.execute(select, (ours.run_no,)).fetchall())
    for key, value in source.rows(select, (run_no,)):
        if here.get(key) == value or (later is False and key in here):
            continue
        if key in here and not later:
            ours.conflict(f"tag {key!r}")
            continue
        conn.execute(
            "INSERT INTO tags (run_no, key, value) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET value = excluded.value",
            (ours.run_no, key, value),
        )
        if key == "mlflow.runName":  # name and tag follow each other
            conn.execute("UPDATE runs SET run_name = ? WHERE run_no = ?", (value, ours.run_no))
        ours.changed = True


def _bring_files(
    source: Source, conn: Connection, ours: _Ours, later: bool | None, *, dry_run: bool
) -> None:
    here = dict(conn.execute("SELECT path, digest FROM artifacts WHERE run_id = ?", (ours.run_id,)))
    for file in _artifacts(source, ours.run_id):
        _, path, digest = file
        if here.get(path) == digest or (later is False and path in here):
            continue
        if path in here and not later:
            ours.conflict(f"file {path!r}")
            continue
        _put_artifact(source, conn, file, ours.report, dry_run=dry_run)
        ours.changed = True
    for model in models_of(source, ours.run_id):
        same = conn.execute(
            "SELECT run_id, artifact_path, model_id FROM models WHERE model_id = ?"
            " OR (run_id = ? AND artifact_path = ?)",
            (model["model_id"], ours.run_id, model["artifact_path"]),
        ).fetchall()
        if (ours.run_id, model["artifact_path"], model["model_id"]) in same:
            ours.include(update_model(source, conn, model))
            continue
        if later and same and all(row[:2] == (ours.run_id, model["artifact_path"]) for row in same):
            conn.execute("DELETE FROM models WHERE model_id = ?", (same[0][2],))
        elif same:
            if later is None:
                ours.conflict(f"model {model['artifact_path']!r}")
            continue
        put_model(source, conn, ours.run_id, model)
        ours.changed = True
    ours.include(bring_uses(source, conn, ours.run_id))
