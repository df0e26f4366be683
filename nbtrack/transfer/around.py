"""What runs refer to: experiments, sessions, cells, datasets; each is there once in a file."""

from __future__ import annotations

from nbtrack.artifacts import sha256
from nbtrack.db import Connection
from nbtrack.errors import IntegrityError
from nbtrack.store.records import now_ms
from nbtrack.transfer.checks import check_id, check_object, check_times
from nbtrack.transfer.report import MergeReport
from nbtrack.transfer.sqlite import Row, Source
from nbtrack.types import LifecycleStage

_EXPERIMENT = "name, lifecycle_stage, creation_time, last_update_time, artifact_location"
_PROCESS = "host, machine, pid, process_start"
_SESSION = (
    f"session_id, user_id, {_PROCESS}, notebook, environment, start_ms, heartbeat_ms,"
    " journal_records, journal_points"
)
_EXECUTION = "execution_id, session_id, cell_id, execution_count, start_ms, end_ms, outcome"
_DATASET = "name, digest, source_type, schema, profile, source"


def bring_experiment(
    source: Source, conn: Connection, experiment_id: int, report: MergeReport
) -> int:
    """Return the number, here, of the experiment of that name; it is made if there is none.

    Tags that an experiment has there and not here are added.

    Raises
    ------
    IntegrityError
        The source does not have it.
    """
    row = source.row(
        f"SELECT {_EXPERIMENT} FROM experiments WHERE experiment_id = ?", (experiment_id,)
    )
    if row is None:
        raise IntegrityError(f"The experiment {experiment_id} is not in the source.")
    LifecycleStage(row["lifecycle_stage"])  # refused: no experiment could be read with another one
    check_times(row["creation_time"], row["last_update_time"])
    found = conn.execute(
        "SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?", (row["name"],)
    ).fetchone()
    if found is None:
        found = conn.execute(
            f"INSERT INTO experiments ({_EXPERIMENT}) VALUES (?, ?, ?, ?, ?)"
            " RETURNING experiment_id, lifecycle_stage",
            tuple(row),
        ).fetchone()
        report.experiments.append(row["name"])
    elif found[1] == LifecycleStage.DELETED != row["lifecycle_stage"]:
        report.conflicts.append(
            f"The experiment {row['name']!r} is in the trash here, and not in the source."
        )
    conn.executemany(
        "INSERT OR IGNORE INTO experiment_tags (experiment_id, key, value) VALUES (?, ?, ?)",
        [
            (found[0], *tag)
            for tag in source.rows(
                "SELECT key, value FROM experiment_tags WHERE experiment_id = ?", (experiment_id,)
            )
        ],
    )
    return int(found[0])


def bring_session(source: Source, conn: Connection, session_id: str | None) -> str | None:
    """Return a session's id if it is here now; None if the source does not have it.

    Of one that was here only the sign of life becomes newer, and that only for the same process:
    how much of its journal is in the file is known here.
    """
    row = source.row(f"SELECT {_SESSION} FROM sessions WHERE session_id = ?", (session_id,))
    if row is None:
        return None
    check_object(row["environment"])
    conn.execute(
        f"INSERT OR IGNORE INTO sessions ({_SESSION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (check_id(session_id), *tuple(row)[1:]),
    )
    conn.execute(
        "UPDATE sessions SET heartbeat_ms = min(max(heartbeat_ms, ?), ?) WHERE session_id = ?"
        " AND (host, machine, pid, process_start) = (?, ?, ?, ?)",
        (row["heartbeat_ms"], now_ms(), session_id, *tuple(row)[2:6]),
    )
    return session_id


def bring_execution(source: Source, conn: Connection, execution_id: str | None) -> None:
    """Bring the execution of a cell over; one that was here, and had not ended, ends."""
    rows = source.rows(
        f"SELECT {_EXECUTION}, source AS text FROM cell_executions e"
        " JOIN cells ON cells.digest = e.cell_digest WHERE execution_id = ?",
        (execution_id,),
    )
    for row in rows:
        _put_execution(source, conn, row)


def bring_executions(source: Source, conn: Connection, session_id: str) -> None:
    """Bring a session over, with all cells that it executed."""
    rows = source.rows(
        f"SELECT {_EXECUTION}, source AS text FROM cell_executions e"
        " JOIN cells ON cells.digest = e.cell_digest WHERE session_id = ? ORDER BY e.rowid",
        (session_id,),
    )
    for row in rows:
        _put_execution(source, conn, row)


def _put_execution(source: Source, conn: Connection, row: Row) -> None:
    if not conn.execute(
        "SELECT 1 FROM sessions WHERE session_id = ?", (row["session_id"],)
    ).fetchone():
        bring_session(source, conn, row["session_id"])
    # By the digest that the text has: another one would stand for somebody else's cell here.
    digest = sha256(row["text"].encode())
    conn.execute(
        "INSERT OR IGNORE INTO cells (digest, source) VALUES (?, ?)", (digest, row["text"])
    )
    conn.execute(
        f"INSERT OR IGNORE INTO cell_executions ({_EXECUTION}, cell_digest)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (check_id(row["execution_id"]), *tuple(row)[1:-1], digest),
    )
    conn.execute(
        "UPDATE cell_executions SET end_ms = ?, outcome = ?"
        " WHERE execution_id = ? AND session_id = ? AND end_ms IS NULL AND outcome IS NULL",
        (row["end_ms"], row["outcome"], row["execution_id"], row["session_id"]),
    )


def bring_inputs(source: Source, conn: Connection, run_id: str) -> bool:
    """Add the datasets of a run that are not there; return whether there was one."""
    added = False
    rows = source.rows(
        f"SELECT {_DATASET}, context, tags FROM run_inputs JOIN datasets USING (dataset_id)"
        " WHERE run_id = ? ORDER BY dataset_id",
        (run_id,),
    )
    for row in rows:
        check_object(row["schema"])
        check_object(row["profile"])
        conn.execute(
            f"INSERT OR IGNORE INTO datasets ({_DATASET}) VALUES (?, ?, ?, ?, ?, ?)",
            tuple(row)[:6],
        )
        added |= bool(
            conn.execute(
                "INSERT OR IGNORE INTO run_inputs (run_id, dataset_id, context, tags)"
                " SELECT ?, dataset_id, ?, ? FROM datasets"
                " WHERE (name, digest, source_type, schema, profile) = (?, ?, ?, ?, ?)",
                (run_id, row["context"], check_object(row["tags"]), *tuple(row)[:5]),
            ).rowcount
        )
    return added
