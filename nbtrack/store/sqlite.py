"""The store in one SQLite file.

Writing verbs queue records (the dataclasses at the top, each with its SQL); reading verbs first
wait for what this process queued, then read through a connection of their own.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbtrack.db import Reader, RecordSink, storable
from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.store.base import NewRun, Session
from nbtrack.store.downsample import downsample
from nbtrack.store.summary import Summary
from nbtrack.types import (
    ArtifactInfo,
    CellExecution,
    Dataset,
    DatasetInput,
    Experiment,
    LifecycleStage,
    Metric,
    MetricSeries,
    MetricSummary,
    ModelInfo,
    Run,
    RunData,
    RunDetail,
    RunInfo,
    RunStatus,
)

IsAlive = Callable[[str, int, str, int], bool]

_SMALL = 200  # about what a record without text weighs, in bytes
_MIN_PREFIX = 4


# ------------------------------------------------------------------------------ records


@dataclass(frozen=True, slots=True)
class _CreateRun:
    run: NewRun

    @property
    def nbytes(self) -> int:
        return 2 * _SMALL

    def apply(self, conn: sqlite3.Connection) -> None:
        r = self.run
        conn.execute(
            "INSERT OR IGNORE INTO experiments (name, creation_time, last_update_time)"
            " VALUES (?, ?, ?)",
            (storable(r.experiment_name), r.start_time, r.start_time),
        )
        conn.execute(
            "INSERT INTO runs (run_id, run_name, experiment_id, parent_run_id, session_id,"
            " execution_id, status, start_time, user_id)"
            " SELECT ?, ?, experiment_id, ?, ?, ?, ?, ?, ? FROM experiments WHERE name = ?",
            (
                r.run_id,
                storable(r.run_name),
                r.parent_run_id,
                r.session_id,
                r.execution_id,
                r.status,
                r.start_time,
                storable(r.user_id),
                storable(r.experiment_name),
            ),
        )


@dataclass(frozen=True, slots=True)
class _UpdateRun:
    run_id: str
    changes: Mapping[str, Any]

    @property
    def nbytes(self) -> int:
        return _SMALL + sum(len(str(value)) for value in self.changes.values())

    def apply(self, conn: sqlite3.Connection) -> None:
        # The keys are column names of ours: see `SqliteStore.update_run`.
        sets = ", ".join(f"{column} = ?" for column in self.changes)
        conn.execute(
            f"UPDATE runs SET {sets} WHERE run_id = ?", (*self.changes.values(), self.run_id)
        )


@dataclass(frozen=True, slots=True)
class _PutPairs:
    table: str  # params or tags
    run_id: str
    pairs: Mapping[str, str]

    @property
    def nbytes(self) -> int:
        return _SMALL + sum(len(key) + len(value) for key, value in self.pairs.items())

    def apply(self, conn: sqlite3.Connection) -> None:
        conn.executemany(
            f"INSERT INTO {self.table} (run_id, key, value) VALUES (?, ?, ?)"
            " ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value",
            [(self.run_id, storable(key), storable(value)) for key, value in self.pairs.items()],
        )


@dataclass(frozen=True, slots=True)
class _AddMetrics:
    run_id: str
    metrics: Sequence[Metric]

    @property
    def nbytes(self) -> int:
        return _SMALL * (1 + len(self.metrics))

    def apply(self, conn: sqlite3.Connection) -> None:
        by_key: dict[str, list[Metric]] = defaultdict(list)
        for metric in self.metrics:
            by_key[storable(metric.key)].append(metric)
        for key, points in by_key.items():
            metric_id = _fold(conn, self.run_id, key, points)
            conn.executemany(
                "INSERT INTO metric_points (metric_id, step, timestamp, value) VALUES (?, ?, ?, ?)",
                [(metric_id, p.step, p.timestamp, p.value) for p in points],
            )


def _fold(conn: sqlite3.Connection, run_id: str, key: str, points: Sequence[Metric]) -> int:
    """Take points into the summary of a metric, and return the metric's id."""
    row = conn.execute(
        "SELECT first_step, first_timestamp, first, last_step, last_timestamp, last, min, max,"
        " count FROM metrics WHERE run_id = ? AND key = ?",
        (run_id, key),
    ).fetchone()
    if row is None:
        summary = Summary.of(points[0])
        summary.add(points[1:])
    else:
        summary = Summary(
            (row[0], row[1], _number(row[2])),
            (row[3], row[4], _number(row[5])),
            _number(row[6]),
            _number(row[7]),
            row[8],
        )
        summary.add(points)
    cursor = conn.execute(
        "INSERT INTO metrics (run_id, key, first_step, first_timestamp, first, last_step,"
        " last_timestamp, last, min, max, count) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (run_id, key) DO UPDATE SET first_step = excluded.first_step,"
        " first_timestamp = excluded.first_timestamp, first = excluded.first,"
        " last_step = excluded.last_step, last_timestamp = excluded.last_timestamp,"
        " last = excluded.last, min = excluded.min, max = excluded.max, count = excluded.count"
        " RETURNING metric_id",
        (run_id, key, *summary.first, *summary.last, summary.min, summary.max, summary.count),
    )
    return int(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class _AddInputs:
    run_id: str
    inputs: Sequence[DatasetInput]

    @property
    def nbytes(self) -> int:
        return 4 * _SMALL * len(self.inputs)

    def apply(self, conn: sqlite3.Connection) -> None:
        for item in self.inputs:
            data = item.dataset
            key = (
                storable(data.name),
                data.digest,
                data.source_type,
                json.dumps(data.schema),
                json.dumps(data.profile),
            )
            conn.execute(
                "INSERT OR IGNORE INTO datasets (name, digest, source_type, schema, profile)"
                " VALUES (?, ?, ?, ?, ?)",
                key,
            )
            conn.execute(
                "INSERT OR IGNORE INTO run_inputs (run_id, dataset_id, context)"
                " SELECT ?, dataset_id, ? FROM datasets WHERE name = ? AND digest = ?"
                " AND source_type = ? AND schema = ? AND profile = ?",
                (self.run_id, storable(item.context), *key),
            )


@dataclass(frozen=True, slots=True)
class _PutModel:
    model: ModelInfo

    @property
    def nbytes(self) -> int:
        return 2 * _SMALL

    def apply(self, conn: sqlite3.Connection) -> None:
        m = self.model
        conn.execute(
            "INSERT OR REPLACE INTO models (model_id, run_id, artifact_path, flavor, model_class,"
            " size_bytes, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                m.model_id,
                m.run_id,
                storable(m.artifact_path),
                m.flavor,
                storable(m.model_class),
                m.size_bytes,
                m.created_ms,
            ),
        )


@dataclass(frozen=True, slots=True)
class _BeginCell:
    session_id: str
    cell: CellExecution
    digest: str

    @property
    def nbytes(self) -> int:
        return 2 * _SMALL + len(self.cell.source)

    def apply(self, conn: sqlite3.Connection) -> None:
        c = self.cell
        conn.execute(
            "INSERT OR IGNORE INTO cells (digest, source) VALUES (?, ?)",
            (self.digest, storable(c.source)),
        )
        conn.execute(
            "INSERT OR IGNORE INTO cell_executions (execution_id, session_id, cell_digest,"
            " cell_id, execution_count, start_ms, end_ms, outcome)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                c.execution_id,
                self.session_id,
                self.digest,
                c.cell_id,
                c.execution_count,
                c.start_ms,
                c.end_ms,
                c.outcome,
            ),
        )


@dataclass(frozen=True, slots=True)
class _EndCell:
    execution_id: str
    end_ms: int
    outcome: str

    @property
    def nbytes(self) -> int:
        return _SMALL

    def apply(self, conn: sqlite3.Connection) -> None:
        conn.execute(
            "UPDATE cell_executions SET end_ms = ?, outcome = ? WHERE execution_id = ?",
            (self.end_ms, self.outcome, self.execution_id),
        )


# ----------------------------------------------------------------------------- sessions


class SessionKeeper:
    """Keeps the session of this process in a file, and closes the runs of those that died.

    Parameters
    ----------
    session
        This process.
    is_alive
        Tells from machine, pid, process start and last heartbeat whether a process lives.
    """

    def __init__(self, session: Session, is_alive: IsAlive) -> None:
        self._session = session
        self._is_alive = is_alive

    def opened(self, conn: sqlite3.Connection) -> None:
        """Note the session, and close as KILLED what dead processes left RUNNING."""
        conn.execute("BEGIN IMMEDIATE")
        try:
            self._put(conn)
            for session_id, *process in conn.execute(
                "SELECT DISTINCT s.session_id, machine, pid, process_start, heartbeat_ms"
                " FROM sessions s JOIN runs USING (session_id) WHERE runs.status = 'RUNNING'"
            ).fetchall():
                if session_id != self._session.session_id and not self._is_alive(*process):
                    conn.execute(
                        "UPDATE runs SET status = 'KILLED', end_time = max(start_time, ?)"
                        " WHERE session_id = ? AND status = 'RUNNING'",
                        (process[-1], session_id),
                    )
            conn.execute("COMMIT")
        except BaseException:
            if conn.in_transaction:  # a full disk has ended it already
                conn.execute("ROLLBACK")
            raise

    def beat(self, conn: sqlite3.Connection) -> None:
        """Note that this process is alive."""
        conn.execute(
            "UPDATE sessions SET heartbeat_ms = ? WHERE session_id = ?",
            (_now_ms(), self._session.session_id),
        )

    def _put(self, conn: sqlite3.Connection) -> None:
        s = self._session
        conn.execute(
            "INSERT OR IGNORE INTO sessions (session_id, user_id, host, machine, pid,"
            " process_start, notebook, environment, start_ms, heartbeat_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                s.session_id,
                s.user_id,
                s.host,
                s.machine,
                s.pid,
                s.process_start,
                None if s.notebook is None else storable(s.notebook),
                json.dumps(s.environment()),
                s.start_ms,
                _now_ms(),
            ),
        )


# -------------------------------------------------------------------------------- store


class SqliteStore:
    """A `nbtrack.store.base.Store` in one SQLite file.

    Parameters
    ----------
    sink
        Where records go: the writer of the file.
    reader
        Read-only connections to the same file.
    is_alive
        Tells from machine, pid, process start and last heartbeat whether a process lives. A run
        of a dead one is read as KILLED, also before somebody who writes has closed it.
    """

    def __init__(self, sink: RecordSink, reader: Reader, is_alive: IsAlive) -> None:
        self._sink = sink
        self._reader = reader
        self._is_alive = is_alive

    # -- writing

    def create_run(self, run: NewRun) -> None:
        """Begin a run."""
        self._sink.submit(_CreateRun(run))

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time: int | None = None,
        run_name: str | None = None,
        error: str | None = None,
    ) -> None:
        """Change what is given; the rest stays."""
        changes = {
            "status": status,
            "end_time": end_time,
            "run_name": None if run_name is None else storable(run_name),
            "error": None if error is None else storable(error),
        }
        given = {column: value for column, value in changes.items() if value is not None}
        if given:
            self._sink.submit(_UpdateRun(run_id, given))

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Set params."""
        self._sink.submit(_PutPairs("params", run_id, dict(params)))

    def log_metrics(self, run_id: str, metrics: Sequence[Metric]) -> None:
        """Add points."""
        if metrics:
            self._sink.submit(_AddMetrics(run_id, tuple(metrics)))

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags."""
        self._sink.submit(_PutPairs("tags", run_id, dict(tags)))

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Add datasets that the run saw."""
        self._sink.submit(_AddInputs(run_id, tuple(inputs)))

    def log_model(self, model: ModelInfo) -> None:
        """Add a model whose files are among the run's artifacts."""
        self._sink.submit(_PutModel(model))

    def begin_cell(self, session_id: str, cell: CellExecution, digest: str) -> None:
        """Add a cell that began to execute."""
        self._sink.submit(_BeginCell(session_id, cell, digest))

    def end_cell(self, execution_id: str, end_ms: int, outcome: str) -> None:
        """Note how the cell ended."""
        self._sink.submit(_EndCell(execution_id, end_ms, outcome))

    # -- reading

    def get_experiment(self, name: str) -> Experiment | None:
        """Return the experiment of that name, in the trash or not."""
        rows = self._read("SELECT * FROM experiments WHERE name = ?", (name,))
        return _experiment(rows[0]) if rows else None

    def search_experiments(self) -> list[Experiment]:
        """Return all experiments that are not in the trash, newest first."""
        rows = self._read(
            "SELECT * FROM experiments WHERE lifecycle_stage = 'active'"
            " ORDER BY creation_time DESC, experiment_id DESC"
        )
        return [_experiment(row) for row in rows]

    def resolve_run_id(self, text: str) -> str:
        """Return the id that a full id, a unique prefix of one, or a run's name means."""
        rows = self._read(
            "SELECT run_id, run_name FROM runs WHERE lifecycle_stage = 'active' AND"
            " (run_name = :text OR (length(:text) >= :least AND"
            "  run_id >= :text AND run_id < :text || 'g')) LIMIT 6",
            {"text": text, "least": _MIN_PREFIX},
        )
        for row in rows:
            if row["run_id"] == text:
                return text
        if len(rows) == 1:
            return str(rows[0]["run_id"])
        if not rows:
            raise NotFoundError(
                f"There is no run {text!r}.",
                hint="Give an id, the beginning of one (4 characters or more) or a name; "
                "nbtrack.runs() lists the runs.",
            )
        found = ", ".join(f"{row['run_name']} ({row['run_id'][:8]})" for row in rows)
        raise InvalidParameterError(
            f"{text!r} means more than one run: {found}.", hint="Give more of the id."
        )

    def get_run(self, run_id: str) -> Run:
        """Return a run."""
        runs = self._runs("WHERE run_id = ?", (run_id,))
        if not runs:
            raise NotFoundError(f"Run with id={run_id} not found.")
        return runs[0]

    def get_run_detail(self, run_id: str) -> RunDetail:
        """Return a run with its inputs, artifacts, cell and environment."""
        run = self.get_run(run_id)
        inputs = self._read(
            "SELECT datasets.*, context FROM run_inputs JOIN datasets USING (dataset_id)"
            " WHERE run_id = ? ORDER BY context = 'target', dataset_id",
            (run_id,),
        )
        artifacts = self._read(
            "SELECT path, digest, size_bytes FROM artifacts JOIN blobs USING (digest)"
            " WHERE run_id = ? ORDER BY path",
            (run_id,),
        )
        cells = self._read(
            "SELECT e.*, source FROM runs JOIN cell_executions e USING (execution_id)"
            " JOIN cells ON cells.digest = e.cell_digest WHERE run_id = ?",
            (run_id,),
        )
        sessions = self._read(
            "SELECT environment FROM runs JOIN sessions USING (session_id) WHERE run_id = ?",
            (run_id,),
        )
        return RunDetail(
            run=run,
            inputs=tuple(
                DatasetInput(
                    Dataset(
                        row["name"],
                        row["digest"],
                        row["source_type"],
                        json.loads(row["schema"]),
                        json.loads(row["profile"]),
                    ),
                    row["context"],
                )
                for row in inputs
            ),
            artifacts=tuple(ArtifactInfo(*row) for row in artifacts),
            cell=_cell(cells[0]) if cells else None,
            environment=json.loads(sessions[0]["environment"]) if sessions else {},
        )

    def search_runs(
        self,
        *,
        experiment_names: Sequence[str] | None = None,
        run_ids: Sequence[str] | None = None,
        max_results: int = 1000,
    ) -> list[Run]:
        """Return runs that are not in the trash, newest first."""
        where, args = ["r.lifecycle_stage = 'active'"], []
        if experiment_names is not None:
            where.append("x.name IN (SELECT value FROM json_each(?))")
            args.append(json.dumps([storable(name) for name in experiment_names]))
        if run_ids is not None:
            where.append("r.run_id IN (SELECT value FROM json_each(?))")
            args.append(json.dumps(list(run_ids)))
        clause = f"WHERE {' AND '.join(where)} ORDER BY start_time DESC, r.rowid DESC LIMIT ?"
        return self._runs(clause, (*args, max_results))

    def metric_series(
        self, run_ids: Sequence[str], key: str, *, max_points: int | None = None
    ) -> list[MetricSeries]:
        """Return the points of one metric of several runs, in the order of the runs."""
        series = []
        for run_id in run_ids:
            rows = self._read(
                "SELECT step, p.timestamp, value FROM metrics JOIN metric_points p"
                " USING (metric_id) WHERE run_id = ? AND key = ? ORDER BY step, p.timestamp,"
                " p.rowid",
                (run_id, key),
            )
            if rows:
                whole = MetricSeries(
                    run_id,
                    key,
                    [row[0] for row in rows],
                    [row[1] for row in rows],
                    [_number(row[2]) for row in rows],
                )
                series.append(whole if max_points is None else downsample(whole, max_points))
        return series

    def _read(self, sql: str, args: tuple[Any, ...] | dict[str, Any] = ()) -> list[sqlite3.Row]:
        self._sink.flush()
        return self._reader.rows(sql, args)

    def _runs(self, clause: str, args: tuple[Any, ...]) -> list[Run]:
        rows = self._read(
            "SELECT r.*, x.name AS experiment_name, e.execution_count, s.notebook, s.machine,"
            " s.pid, s.process_start, s.heartbeat_ms FROM runs r"
            " JOIN experiments x USING (experiment_id)"
            " LEFT JOIN cell_executions e USING (execution_id)"
            f" LEFT JOIN sessions s ON s.session_id = r.session_id {clause}",
            args,
        )
        ids = json.dumps([row["run_id"] for row in rows])
        params = self._by_run("SELECT run_id, key, value FROM params", ids)
        tags = self._by_run("SELECT run_id, key, value FROM tags", ids)
        metrics = self._by_run(
            "SELECT run_id, key, last, last_step, last_timestamp, first, min, max, count"
            " FROM metrics",
            ids,
        )
        models = self._by_run(
            "SELECT run_id, model_id, artifact_path, flavor, model_class, size_bytes, created_ms"
            " FROM models",
            ids,
        )
        killed = self._killed(rows)
        return [
            _run(row, params[key], tags[key], metrics[key], models[key], killed_ms=killed.get(key))
            for row in rows
            if (key := row["run_id"])
        ]

    def _killed(self, rows: Sequence[sqlite3.Row]) -> dict[str, int]:
        """Return when the runs ended that are RUNNING but whose process is dead, by id."""
        alive: dict[str, bool] = {}  # by session
        killed = {}
        for row in rows:
            session = row["session_id"]
            if row["status"] != RunStatus.RUNNING or session is None:
                continue
            if session not in alive:
                process = (row["machine"], row["pid"], row["process_start"], row["heartbeat_ms"])
                alive[session] = self._is_alive(*process)
            if not alive[session]:
                killed[row["run_id"]] = max(row["start_time"], row["heartbeat_ms"])
        return killed

    def _by_run(self, select: str, ids: str) -> defaultdict[str, list[sqlite3.Row]]:
        """Return the rows of a table that belong to some runs, by run, in the order of keys."""
        found: defaultdict[str, list[sqlite3.Row]] = defaultdict(list)
        for row in self._reader.rows(
            f"{select} WHERE run_id IN (SELECT value FROM json_each(?)) ORDER BY 2", (ids,)
        ):
            found[row["run_id"]].append(row)
        return found


def _run(
    row: sqlite3.Row,
    params: Iterable[sqlite3.Row],
    tags: Iterable[sqlite3.Row],
    metrics: Iterable[sqlite3.Row],
    models: Iterable[sqlite3.Row],
    *,
    killed_ms: int | None,
) -> Run:
    summaries = {
        m["key"]: MetricSummary(
            m["key"],
            _number(m["last"]),
            m["last_step"],
            m["last_timestamp"],
            _number(m["first"]),
            _number(m["min"]),
            _number(m["max"]),
            m["count"],
        )
        for m in metrics
    }
    return Run(
        info=RunInfo(
            run_id=row["run_id"],
            run_name=row["run_name"],
            experiment_id=str(row["experiment_id"]),
            experiment_name=row["experiment_name"],
            status=RunStatus(row["status"]) if killed_ms is None else RunStatus.KILLED,
            start_time=row["start_time"],
            end_time=row["end_time"] if killed_ms is None else killed_ms,
            user_id=row["user_id"],
            lifecycle_stage=LifecycleStage(row["lifecycle_stage"]),
            artifact_uri=f"runs:/{row['run_id']}",
            parent_run_id=row["parent_run_id"],
            error=row["error"],
        ),
        data=RunData(
            params={p["key"]: p["value"] for p in params},
            metrics={key: summary.last for key, summary in summaries.items()},
            tags={t["key"]: t["value"] for t in tags},
            summaries=summaries,
        ),
        models=tuple(
            ModelInfo(
                m["model_id"],
                m["run_id"],
                m["artifact_path"],
                m["flavor"],
                m["model_class"],
                m["size_bytes"],
                m["created_ms"],
            )
            for m in models
        ),
        execution_count=row["execution_count"],
        notebook=row["notebook"],
    )


def _experiment(row: sqlite3.Row) -> Experiment:
    return Experiment(
        str(row["experiment_id"]),
        row["name"],
        LifecycleStage(row["lifecycle_stage"]),
        row["creation_time"],
        row["last_update_time"],
    )


def _cell(row: sqlite3.Row) -> CellExecution:
    return CellExecution(
        row["execution_id"],
        row["execution_count"],
        row["cell_id"],
        row["source"],
        row["start_ms"],
        row["end_ms"],
        row["outcome"],
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
