"""What is in the trash is deleted for good, and what nothing refers to any more goes with it.

What would go is written down first, in temporary tables, by SELECTs alone: so that a dry run needs
no right to write, and counts exactly what the real one deletes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from nbtrack.db import Connection, lent, storable, translated
from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.store.records import experiment_key, now_ms
from nbtrack.store.sessions import IsAlive

_Make = Callable[[str, str, Mapping[str, object]], None]  # a temporary table of a query
_DEFAULT = 0  # every database has this experiment
_GONE = "(SELECT {} FROM temp.gone_runs)"

# By table: the keys that nothing refers to once the runs are gone.
_UNUSED = {
    "blobs": "SELECT digest FROM blobs WHERE digest NOT IN (SELECT digest FROM artifacts"
    f" WHERE run_id NOT IN {_GONE.format('run_id')})",
    "datasets": "SELECT dataset_id FROM datasets WHERE dataset_id NOT IN"
    f" (SELECT dataset_id FROM run_inputs WHERE run_id NOT IN {_GONE.format('run_id')})",
    # A process that lives may still have runs of the cells that it executed.
    "cell_executions": "SELECT execution_id FROM cell_executions"
    " WHERE session_id NOT IN (SELECT session_id FROM temp.living)"
    " AND session_id NOT IN (SELECT session_id FROM runs WHERE session_id IS NOT NULL"
    f"  AND run_no NOT IN {_GONE.format('run_no')})"
    " AND execution_id NOT IN (SELECT execution_id FROM runs WHERE execution_id IS NOT NULL"
    f"  AND run_no NOT IN {_GONE.format('run_no')})",
    "cells": "SELECT digest FROM cells WHERE digest NOT IN (SELECT cell_digest FROM cell_executions"
    " WHERE execution_id NOT IN (SELECT execution_id FROM temp.gone_cell_executions))",
    # Those of the runs that go now stay until the next time: somebody may just be reading rows that
    # have them. The last one stays for good, or its number would be given again.
    "shapes": "SELECT shape_id FROM shapes WHERE shape_id NOT IN (SELECT param_shape"
    " FROM sealed_runs UNION SELECT tag_shape FROM sealed_runs"
    " UNION SELECT metric_shape FROM sealed_runs)"
    " AND shape_id < (SELECT max(shape_id) FROM shapes)",
}
_KEYS = {
    "runs": "run_no",
    "experiments": "experiment_id",
    "blobs": "digest",
    "datasets": "dataset_id",
    "cell_executions": "execution_id",
    "cells": "digest",
    "shapes": "shape_id",
}
"""The tables that rows are deleted from, in this order."""
_ORPHANS = "blob_chunks WHERE digest NOT IN (SELECT digest FROM blobs)"
_COUNTS = {
    "artifacts": f"SELECT count(*) FROM artifacts WHERE run_id IN {_GONE.format('run_id')}",
    "blobs": "SELECT count(*) FROM temp.gone_blobs",
    "datasets": "SELECT count(*) FROM temp.gone_datasets",
    "cells": "SELECT count(*) FROM temp.gone_cells",
    "shapes": "SELECT count(*) FROM temp.gone_shapes",
    "nbytes": "SELECT (SELECT coalesce(sum(length(data)), 0) FROM blob_chunks"
    "  WHERE digest IN (SELECT digest FROM temp.gone_blobs))"
    " + (SELECT coalesce(sum(stored_bytes), 0) FROM blobs"
    "  WHERE digest IN (SELECT digest FROM temp.gone_blobs))"
    f" + (SELECT coalesce(sum(length(data)), 0) FROM {_ORPHANS})"
    " + (SELECT coalesce(sum(length(data)), 0) FROM metrics JOIN metric_chunks USING (metric_id)"
    f"  WHERE run_no IN {_GONE.format('run_no')})",
}
# Looked through for each row that is deleted from the table they refer to, and not indexed.
_REFERENCES = (
    ("artifacts", "digest"),
    ("run_inputs", "dataset_id"),
    ("cell_executions", "cell_digest"),
    ("sealed_runs", "param_shape"),
    ("sealed_runs", "tag_shape"),
    ("sealed_runs", "metric_shape"),
    ("model_versions", "run_id"),
)
_AGE = re.compile(
    r"(?=.)(?:(?P<days>[\d.]+)d)?(?:(?P<hours>[\d.]+)h)?(?:(?P<minutes>[\d.]+)m)?"
    r"(?:(?P<seconds>[\d.]+)s)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run that stays although it is in the trash."""

    run_id: str
    run_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Collected:
    """What was deleted for good, or would be.

    Attributes
    ----------
    run_ids, experiments
        Ids of the runs, names of the experiments.
    artifacts
        Files of these runs.
    blobs, datasets, cells, shapes
        Contents of files, datasets, sources of cells, and sets of keys that nothing refers to.
    nbytes
        Size of the contents of files and of the points of metrics, as they are stored. The file
        keeps the room of those in it for what comes; vacuuming it gives it back to the disk.
    outside
        Digests of the contents that are outside of the file.
    orphans, orphan_bytes
        Files beside the database that belonged to no content, as a killed process leaves them.
    kept
        Runs that stay, and why.
    dry_run
        Whether nothing was changed.
    """

    run_ids: tuple[str, ...]
    experiments: tuple[str, ...]
    artifacts: int
    blobs: int
    datasets: int
    cells: int
    shapes: int
    nbytes: int
    kept: tuple[KeptRun, ...]
    dry_run: bool
    outside: tuple[str, ...] = ()
    orphans: int = 0
    orphan_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Collect:
    """Runs and experiments in the trash are deleted for good.

    Parameters
    ----------
    is_alive
        Tells whether a process lives.
    older_than_ms
        Only what has been in the trash for so long.
    run_ids
        Only these runs, and no experiments.
    experiment_ids
        Only of these experiments, and these.
    """

    is_alive: IsAlive
    older_than_ms: int = 0
    run_ids: Sequence[str] | None = None
    experiment_ids: Sequence[str] | None = None

    def apply(self, conn: Connection) -> Collected:
        """Delete it."""
        with _planned(conn, self) as plan, _indexed(conn):
            for table, key in _KEYS.items():
                conn.execute(
                    f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM temp.gone_{table})"
                )
            conn.execute(f"DELETE FROM {_ORPHANS}")
            return plan


def preview(path: Path, collect: Collect) -> Collected:
    """Return what would be deleted; nothing is changed, and nobody has to wait.

    Raises
    ------
    NbtrackError
        The database cannot be read; there is no such run or experiment in the trash.
    """
    with lent(path) as conn, translated(path):
        conn.execute("BEGIN")  # one look at all tables
        try:
            with _planned(conn, collect, dry_run=True) as plan:
                return plan
        finally:
            if conn.in_transaction:  # a full disk has ended it already
                conn.execute("ROLLBACK")


def parse_age(text: str | timedelta | None) -> int:
    """Return an age in ms: a text such as MLflow takes, a `timedelta`, or None for any age.

    Raises
    ------
    InvalidParameterError
        It is none.

    Examples
    --------
    >>> parse_age("30d"), parse_age("1h30m")
    (2592000000, 5400000)
    """
    if text is None:
        return 0
    try:
        if isinstance(text, str):
            found = _AGE.fullmatch(text)
            if found is None:
                raise ValueError(text)
            text = timedelta(**{k: float(v) for k, v in found.groupdict().items() if v})
        age = text // timedelta(milliseconds=1)
    except (TypeError, ValueError, OverflowError):
        age = -1
    if age < 0:
        raise InvalidParameterError(
            f"{text!r} is no age.", hint="For example 30d, 8h, or 2d8h5m20s: days, hours, minutes."
        )
    return age


@contextmanager
def _planned(conn: Connection, wanted: Collect, *, dry_run: bool = False) -> Iterator[Collected]:
    """Write down what goes, as long as the context lasts."""
    made = []

    def make(name: str, query: str, args: Mapping[str, object]) -> None:
        conn.execute(f"CREATE TEMP TABLE {name} AS {query}", args)
        made.append(name)

    kept = _plan_runs(conn, wanted, make)
    for table, query in _UNUSED.items():
        make(f"gone_{table}", query, {})
    counts = {name: int(conn.execute(query).fetchone()[0]) for name, query in _COUNTS.items()}
    run_ids = _column(conn, "SELECT run_id FROM temp.gone_runs ORDER BY run_no")
    names = _column(conn, "SELECT name FROM temp.gone_experiments ORDER BY experiment_id")
    outside = _column(
        conn,
        "SELECT digest FROM blobs WHERE place_id IS NOT NULL"
        " AND digest IN (SELECT digest FROM temp.gone_blobs)",
    )
    yield Collected(
        tuple(run_ids), tuple(names), **counts, kept=kept, dry_run=dry_run, outside=tuple(outside)
    )
    for name in made:
        conn.execute(f"DROP TABLE temp.{name}")


def _plan_runs(conn: Connection, wanted: Collect, make: _Make) -> tuple[KeptRun, ...]:
    numbers = _experiments(conn, wanted.experiment_ids)
    _check_runs(conn, wanted.run_ids)
    args: dict[str, object] = {
        "until": now_ms() - wanted.older_than_ms,
        "experiments": None if numbers is None else json.dumps(numbers),
        "runs": None if wanted.run_ids is None else json.dumps([*map(storable, wanted.run_ids)]),
    }
    living = [
        row[0]
        for row in conn.execute(
            "SELECT session_id, machine, pid, process_start, heartbeat_ms FROM sessions"
        ).fetchall()
        if wanted.is_alive(*row[1:])
    ]
    make("living", "SELECT value AS session_id FROM json_each(:ids)", {"ids": json.dumps(living)})
    make(
        "gone_runs",
        "SELECT run_no, run_id, run_name, status, session_id FROM runs"
        " WHERE lifecycle_stage = 'deleted'"
        # Of a file from before the trash had times: it was put there after it had ended.
        " AND coalesce(deleted_time, end_time, start_time) <= :until"
        " AND (:runs IS NULL OR run_id IN (SELECT value FROM json_each(:runs)))"
        " AND (:experiments IS NULL"
        "  OR experiment_id IN (SELECT value FROM json_each(:experiments)))",
        args,
    )
    kept = _keep(conn)
    make(
        "gone_experiments",
        "SELECT experiment_id, name FROM experiments x WHERE lifecycle_stage = 'deleted'"
        f" AND experiment_id <> {_DEFAULT} AND last_update_time <= :until"
        " AND CASE WHEN :experiments IS NULL THEN :runs IS NULL"
        "  ELSE experiment_id IN (SELECT value FROM json_each(:experiments)) END"
        " AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.experiment_id = x.experiment_id"
        f" AND run_no NOT IN {_GONE.format('run_no')})",
        args,
    )
    return kept


def _keep(conn: Connection) -> tuple[KeptRun, ...]:
    """Take off the list what must stay, and say why."""
    reasons: dict[str, str] = {}
    for name, version, run_id, source, made_by in conn.execute(
        "SELECT v.name, v.version, v.run_id, v.source, m.run_id FROM model_versions v LEFT JOIN"
        " models m ON m.model_id IN (v.model_id, substr(v.source, length('models:/') + 1))"
        " ORDER BY v.name, v.version DESC"
    ).fetchall():
        of_source = source.removeprefix("runs:/").partition("/")[0]
        why = f"it is version {version} of model {name!r}"
        reasons |= dict.fromkeys({run_id, of_source, made_by}, why)
    for (run_id,) in conn.execute(
        "SELECT run_id FROM temp.gone_runs WHERE status = 'RUNNING'"
        " AND session_id IN (SELECT session_id FROM temp.living)"
    ).fetchall():
        reasons[run_id] = "it is running"
    rows = conn.execute("SELECT run_id, run_name FROM temp.gone_runs ORDER BY run_no").fetchall()
    kept = tuple(
        KeptRun(run_id, name, reasons[run_id]) for run_id, name in rows if run_id in reasons
    )
    conn.executemany("DELETE FROM temp.gone_runs WHERE run_id = ?", [(run.run_id,) for run in kept])
    return kept


def _experiments(conn: Connection, ids: Iterable[str] | None) -> list[int] | None:
    if ids is None:
        return None
    numbers = [experiment_key(text) for text in ids]
    known = _column(conn, "SELECT experiment_id FROM experiments")
    for number in numbers:
        if number not in known:
            raise NotFoundError(
                f"No Experiment with id={number} exists.",
                hint="nbtrack experiments list --view all lists all experiments.",
            )
    return numbers


def _check_runs(conn: Connection, ids: Iterable[str] | None) -> None:
    for run_id in ids or ():
        row = conn.execute(
            "SELECT lifecycle_stage FROM runs WHERE run_id = ?", (storable(run_id),)
        ).fetchone()
        if row is None:
            raise NotFoundError(f"There is no run {run_id!r}.", hint="Runs in the trash go by id.")
        if row[0] != "deleted":
            raise InvalidParameterError(
                f"The run {run_id} is not in the trash.",
                hint=f"Put it there first: nbtrack runs delete {run_id}",
            )


def _column(conn: Connection, query: str) -> list[Any]:
    return [row[0] for row in conn.execute(query).fetchall()]


@contextmanager
def _indexed(conn: Connection) -> Iterator[None]:
    """Have indexes of what refers to what is deleted; they are gone before anybody sees them."""
    for table, column in _REFERENCES:
        conn.execute(f"CREATE INDEX gc_{table}_{column} ON {table} ({column})")
    yield
    for table, column in _REFERENCES:
        conn.execute(f"DROP INDEX gc_{table}_{column}")
