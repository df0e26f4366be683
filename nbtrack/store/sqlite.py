"""The store in one SQLite file.

Logging verbs queue records; changing verbs have theirs written at once; reading verbs first wait
for what this process queued, then read through a connection of their own.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nbtrack.db import Reader, RecordSink
from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.store import records
from nbtrack.store.base import NewRun
from nbtrack.store.downsample import unpack_series
from nbtrack.store.points import number
from nbtrack.store.sealing import METRIC, SUMMARY, NumberColumns, TextColumns, places_of
from nbtrack.store.search import select_experiments, select_runs
from nbtrack.store.sessions import IsAlive
from nbtrack.types import (
    ArtifactInfo,
    CellExecution,
    Dataset,
    DatasetInput,
    Experiment,
    ExperimentQuery,
    LifecycleStage,
    Metric,
    MetricSeries,
    MetricSummary,
    ModelInfo,
    Run,
    RunData,
    RunDetail,
    RunInfo,
    RunInputs,
    RunQuery,
    RunStatus,
    RunTable,
    ViewType,
)

_TABLE_INFO = {
    name: f"r.{name}"
    for name in (
        "run_id",
        "run_name",
        "status",
        "start_time",
        "end_time",
        "user_id",
        "lifecycle_stage",
        "parent_run_id",
        "error",
    )
} | {"execution_count": "e.execution_count", "experiment_name": "x.name", "notebook": "s.notebook"}
"""The columns of `RunTable.info` that are a run's own, and where they are."""

_TABLE = (
    *_TABLE_INFO.values(),
    "r.run_no",
    "r.experiment_id",
    "r.session_id",
    *(f"z.{name}" for name in ("params", "param_shape", "tags", "tag_shape")),
    *(f"z.{name}" for name in ("lasts", "metric_shape")),
)

_WHOLE = "r.*, z.*, x.name AS experiment_name, e.execution_count, s.notebook"
_EXPERIMENT = (
    "x.*, (SELECT json_group_object(key, value) FROM experiment_tags t"
    " WHERE t.experiment_id = x.experiment_id) AS tags"
)
_SUMMARIES = f"run_no, key, {', '.join(SUMMARY)} FROM metrics"
_MIN_PREFIX = 4
_STAGES = {
    ViewType.ACTIVE_ONLY: "{}.lifecycle_stage = 'active'",
    ViewType.DELETED_ONLY: "{}.lifecycle_stage = 'deleted'",
    ViewType.ALL: "1",
}


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
        # Not through a method: a call in between would be a tenth of what a point costs.
        self.log_metric = sink.add_point  # type: ignore[method-assign]

    # -- writing

    def create_run(self, run: NewRun) -> str:
        """Begin a run and return its id."""
        self._sink.submit(records.CreateRun(run))
        return run.run_id

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
        changes = {"status": status, "end_time": end_time, "run_name": run_name, "error": error}
        given = {column: value for column, value in changes.items() if value is not None}
        if given:
            self._sink.submit(records.UpdateRun(run_id, given))

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Set params."""
        self._sink.submit(records.LogParams(run_id, dict(params), records.now_ms()))

    def log_metric(self, run_id: str, key: str, value: float, step: int, timestamp: int) -> None:
        """Add a point."""
        self._sink.add_point(run_id, key, value, step, timestamp)

    def expect_metrics(self, run_id: str, keys: Iterable[str]) -> None:
        """Hear of new metrics, whose first points come next."""
        self._sink.expect(run_id, keys)

    def log_metrics(self, run_id: str, metrics: Sequence[Metric]) -> None:
        """Add points, also such that belong to a model or a dataset."""
        for m in metrics:
            self._sink.add_point(run_id, m.key, m.value, m.step, m.timestamp)
        linked = [m for m in metrics if m.model_id or m.dataset_name or m.dataset_digest]
        if linked:
            self._sink.submit(records.LinkMetrics(run_id, linked))

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags."""
        self._sink.submit(records.SetTags(run_id, dict(tags)))

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Add datasets that the run saw."""
        self._sink.submit(records.LogInputs(run_id, tuple(inputs)))

    def log_model(self, model: ModelInfo) -> None:
        """Add a model whose files are among the run's artifacts."""
        self._sink.submit(records.LogModel(model))

    def begin_cell(self, session_id: str, cell: CellExecution, digest: str) -> None:
        """Add a cell that began to execute."""
        self._sink.submit(records.BeginCell(session_id, cell, digest))

    def end_cell(self, execution_id: str, end_ms: int, outcome: str) -> None:
        """Note how the cell ended."""
        self._sink.submit(records.EndCell(execution_id, end_ms, outcome))

    # -- changing

    def create_experiment(
        self, name: str, *, artifact_location: str = "", tags: Mapping[str, str] | None = None
    ) -> str:
        """Make an experiment and return its id."""
        made = self._sink.call(records.CreateExperiment(name, artifact_location, dict(tags or {})))
        return str(made)

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Give an experiment another name."""
        self._sink.call(records.RenameExperiment(experiment_id, name))

    def set_experiment_stage(self, experiment_id: str, stage: LifecycleStage) -> None:
        """Put an experiment and its runs into the trash, or take them out of it."""
        self._sink.call(records.SetExperimentStage(experiment_id, stage))

    def set_experiment_tags(self, experiment_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of an experiment."""
        self._sink.call(records.SetExperimentTags(experiment_id, dict(tags)))

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Take a tag off an experiment."""
        self._sink.call(records.DeleteExperimentTag(experiment_id, key))

    def set_run_stage(self, run_id: str, stage: LifecycleStage) -> None:
        """Put a run into the trash, or take it out of it."""
        self._sink.call(records.SetRunStage(run_id, stage))

    def delete_tag(self, run_id: str, key: str) -> None:
        """Take a tag off a run."""
        self._sink.call(records.DeleteTag(run_id, key))

    # -- reading

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment, in the trash or not."""
        found = self._experiments(
            "WHERE experiment_id = ?", (records.experiment_key(experiment_id),)
        )
        if not found:
            raise NotFoundError(
                f"No Experiment with id={experiment_id} exists.",
                hint="nbtrack.search_experiments() lists the experiments.",
            )
        return found[0]

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return the experiment of that name, in the trash or not."""
        found = self._experiments("WHERE name = ?", (name,))
        return found[0] if found else None

    def search_experiments(self, query: ExperimentQuery | None = None) -> list[Experiment]:
        """Return experiments; without a query all that are not in the trash, newest first."""
        query = query or ExperimentQuery(max_results=-1)
        sql, args = select_experiments(query.filter, query.order_by).query(
            _EXPERIMENT,
            (_STAGES[query.view_type].format("x"), ()),
            limit=query.max_results,
            offset=query.offset,
        )
        return [_experiment(row) for row in self._read(sql, args)]

    def _experiments(self, clause: str, args: tuple[Any, ...]) -> list[Experiment]:
        rows = self._read(f"SELECT {_EXPERIMENT} FROM experiments x {clause}", args)
        return [_experiment(row) for row in rows]

    def resolve_run_id(self, text: str) -> str:
        """Return the id that a full id, a unique prefix of one, or a run's name means."""
        rows = self._read(
            "SELECT run_id, run_name FROM runs WHERE run_id = :text OR lifecycle_stage = 'active'"
            " AND (run_name = :text OR (length(:text) >= :least AND"
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
        rows = self._read("SELECT run_no FROM runs WHERE run_id = ?", (run_id,))
        if not rows:
            raise NotFoundError(
                f"Run with id={run_id} not found.", hint="nbtrack.runs() lists the runs."
            )
        return self._runs([rows[0][0]])[0]

    def get_run_detail(self, run_id: str) -> RunDetail:
        """Return a run with its inputs, artifacts, cell and environment."""
        run = self.get_run(run_id)
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
            inputs=run.inputs.dataset_inputs,
            artifacts=tuple(ArtifactInfo(*row) for row in artifacts),
            cell=_cell(cells[0]) if cells else None,
            environment=json.loads(sessions[0]["environment"]) if sessions else {},
        )

    def search_runs(self, query: RunQuery) -> list[Run]:
        """Return runs, each as an object."""
        return self._runs(self._select(query))

    def run_table(self, query: RunQuery) -> RunTable:
        """Return runs by columns."""
        rows = self._chosen(self._select(query), ", ".join(_TABLE))
        columns = dict(zip(_TABLE, zip(*rows, strict=True), strict=True)) if rows else {}
        info = {name: list(columns.get(column, ())) for name, column in _TABLE_INFO.items()}
        info["experiment_id"] = [str(number) for number in columns.get("r.experiment_id", ())]
        killed = self._killed(rows)
        for i, run_id in enumerate(info["run_id"] if killed else ()):
            if run_id in killed:
                info["status"][i], info["end_time"][i] = RunStatus.KILLED, killed[run_id]
        params, tags, metrics = self._values(columns)
        return RunTable(
            run_ids=info.pop("run_id"),
            info=info,
            params=dict(sorted(params.columns.items())),
            tags=dict(sorted(tags.columns.items())),
            metrics=dict(sorted(metrics.columns.items())),
        )

    def _values(
        self, columns: Mapping[str, Sequence[Any]]
    ) -> tuple[TextColumns, TextColumns, NumberColumns]:
        """Return params, tags and metrics of runs: sealed ones, and those that are not."""
        numbers = columns.get("r.run_no", ())
        shapes = self._shapes()
        params, tags = TextColumns(len(numbers), shapes), TextColumns(len(numbers), shapes)
        metrics = NumberColumns(len(numbers), shapes)
        for target, name, kind in (
            (params, "params", "param_shape"),
            (tags, "tags", "tag_shape"),
            (metrics, "lasts", "metric_shape"),
        ):
            values = columns.get(f"z.{name}", ())
            for shape, places in places_of(columns.get(f"z.{kind}", ())).items():
                target.add_rows(shape, places, [values[place] for place in places])
        sealed = columns.get("z.params", ())
        loose = {number: i for i, number in enumerate(numbers) if sealed[i] is None}
        for table, texts in (("params", params), ("tags", tags)):
            for run_no, key, value in self._of(f"run_no, key, value FROM {table}", list(loose)):
                texts.add(loose[run_no], key, value)
        for run_no, key, last in self._of("run_no, key, last FROM metrics", list(loose)):
            metrics.add(loose[run_no], key, number(last))
        return params, tags, metrics

    def _shapes(self) -> dict[int, list[str]]:
        rows = self._reader.rows("SELECT shape_id, keys FROM shapes")
        return {row[0]: json.loads(row[1]) for row in rows}

    def _select(self, query: RunQuery) -> list[int]:
        """Return the numbers of the runs that a query means, in their order."""
        conditions: list[tuple[str, tuple[Any, ...]]] = [(_STAGES[query.view_type].format("r"), ())]
        if query.experiment_ids is not None:
            keys = [records.experiment_key(x) for x in query.experiment_ids]
            conditions.append(
                ("r.experiment_id IN (SELECT value FROM json_each(?))", (json.dumps(keys),))
            )
        if query.run_ids is not None:
            ids = json.dumps(list(query.run_ids))
            conditions.append(("r.run_id IN (SELECT value FROM json_each(?))", (ids,)))
        sql, args = select_runs(query.filter, query.order_by).query(
            "r.run_no", *conditions, limit=query.max_results, offset=query.offset
        )
        return [row[0] for row in self._read(sql, args)]

    def _chosen(self, numbers: Sequence[int], columns: str) -> list[sqlite3.Row]:
        """Return columns of runs, in the order of their numbers."""
        rows = self._reader.rows(
            f"SELECT {columns} FROM json_each(?) chosen"
            " CROSS JOIN runs r ON r.run_no = chosen.value"
            " LEFT JOIN sealed_runs z ON z.run_no = r.run_no"
            " JOIN experiments x ON x.experiment_id = r.experiment_id"
            " LEFT JOIN cell_executions e ON e.execution_id = r.execution_id"
            " LEFT JOIN sessions s ON s.session_id = r.session_id",
            (json.dumps(numbers),),
        )
        # The rows come as they were chosen; ordering them in SQL would copy all of them.
        if [row["run_no"] for row in rows] != list(numbers):
            place = {number: i for i, number in enumerate(numbers)}
            rows.sort(key=lambda row: place[row["run_no"]])
        return rows

    def _of(self, select: str, values: Sequence[Any]) -> list[sqlite3.Row]:
        """Return columns of a table where the first one is one of some values, in order."""
        if not values:
            return []
        first = select.partition(",")[0]
        return self._reader.rows(
            f"SELECT {select} WHERE {first} IN (SELECT value FROM json_each(?)) ORDER BY 1, 2, 3",
            (json.dumps(values),),
        )

    def param_history(self, run_id: str, key: str) -> list[str]:
        """Return all values that a param of a run had, the present one last."""
        rows = self._read(
            "SELECT value FROM (SELECT run_no, key, value, param_history.rowid AS place"
            " FROM param_history UNION ALL SELECT run_no, key, value, 9e99 FROM params)"
            " JOIN runs USING (run_no) WHERE run_id = ? AND key = ? ORDER BY place",
            (run_id, key),
        )
        return [row["value"] for row in rows]

    def metric_series(
        self,
        run_ids: Sequence[str],
        keys: Sequence[str],
        *,
        max_points: int | None = None,
    ) -> list[MetricSeries]:
        """Return the points of some metrics of some runs, run by run."""
        self._sink.flush()
        found = []
        for run_id in run_ids:
            for key in keys:
                rows = self._reader.rows(
                    "SELECT data FROM runs JOIN metrics USING (run_no)"
                    " JOIN metric_chunks USING (metric_id) WHERE run_id = ? AND key = ?"
                    " ORDER BY chunk_id",
                    (run_id, key),
                )
                if rows:
                    chunks = [row[0] for row in rows]
                    found.append(unpack_series(run_id, key, chunks, max_points))
        return found

    def linked_metrics(self, run_id: str) -> list[Metric]:
        """Return the points of a run that belong to a model or a dataset."""
        rows = self._read(
            "SELECT key, value, timestamp, step, model_id, dataset_name, dataset_digest, run_id"
            " FROM model_metrics m JOIN runs USING (run_no) WHERE run_id = ? ORDER BY m.rowid",
            (run_id,),
        )
        return [Metric(row[0], number(row[1]), *row[2:]) for row in rows]

    def _read(self, sql: str, args: tuple[Any, ...] | dict[str, Any] = ()) -> list[sqlite3.Row]:
        self._sink.flush()
        return self._reader.rows(sql, args)

    def _runs(self, numbers: Sequence[int]) -> list[Run]:
        rows = self._chosen(numbers, _WHOLE)
        ids = [row["run_id"] for row in rows]
        data = self._data(rows)
        models = self._grouped(
            "run_id, m.*, (SELECT json_group_object(key, value) FROM logged_model_params p"
            " WHERE p.model_id = m.model_id) AS params, (SELECT json_group_object(key, value)"
            " FROM logged_model_tags t WHERE t.model_id = m.model_id) AS tags FROM models m",
            ids,
        )
        inputs = self._grouped(
            "run_id, context = 'target', dataset_id, d.*, context, tags"
            " FROM run_inputs JOIN datasets d USING (dataset_id)",
            ids,
        )
        killed = self._killed(rows)
        return [
            _run(
                row,
                data=data[row["run_no"]],
                models=models[row["run_id"]],
                inputs=inputs[row["run_id"]],
                killed_ms=killed.get(row["run_id"]),
            )
            for row in rows
        ]

    def _data(self, rows: Sequence[sqlite3.Row]) -> dict[int, RunData]:
        """Return params, tags and metrics of runs, by number."""
        shapes = self._shapes()
        found = {
            row["run_no"]: _data(
                zip(shapes[row["param_shape"]], json.loads(row["params"]), strict=True),
                zip(shapes[row["tag_shape"]], json.loads(row["tags"]), strict=True),
                zip(shapes[row["metric_shape"]], METRIC.iter_unpack(row["metrics"]), strict=True),
            )
            for row in rows
            if row["params"] is not None
        }
        loose = [row["run_no"] for row in rows if row["params"] is None]
        params = self._grouped("run_no, key, value FROM params", loose)
        tags = self._grouped("run_no, key, value FROM tags", loose)
        metrics = self._grouped(_SUMMARIES, loose)
        for run_no in loose:
            found[run_no] = _data(
                (row[1:] for row in params[run_no]),
                (row[1:] for row in tags[run_no]),
                (
                    (key, (*map(number, summary[:4]), *summary[4:]))
                    for _, key, *summary in metrics[run_no]
                ),
            )
        return found

    def _killed(self, rows: Sequence[sqlite3.Row]) -> dict[str, int]:
        """Return when the runs ended that are RUNNING but whose process is dead, by id."""
        running = [row for row in rows if row["status"] == "RUNNING" and row["session_id"]]
        heartbeats = {
            row["session_id"]: row["heartbeat_ms"]
            for row in self._of(
                "session_id, machine, pid, process_start, heartbeat_ms FROM sessions",
                list({row["session_id"] for row in running}),
            )
            if not self._is_alive(*row[1:])
        }
        return {
            row["run_id"]: max(row["start_time"], heartbeats[row["session_id"]])
            for row in running
            if row["session_id"] in heartbeats
        }

    def _grouped(self, select: str, of: Sequence[Any]) -> defaultdict[Any, list[sqlite3.Row]]:
        """Return rows by their first column, which is one of some values; in order."""
        found: defaultdict[Any, list[sqlite3.Row]] = defaultdict(list)
        for row in self._of(select, of):
            found[row[0]].append(row)
        return found


def _data(
    params: Iterable[tuple[str, str]],
    tags: Iterable[tuple[str, str]],
    metrics: Iterable[tuple[str, tuple[Any, ...]]],
) -> RunData:
    """Return values of a run; a metric's are those of `METRIC`."""
    summaries = {
        key: MetricSummary(key, last, step, timestamp, first, low, high, count)
        for key, (last, first, low, high, step, timestamp, count) in metrics
    }
    return RunData(
        params=dict(params),
        metrics={key: summary.last for key, summary in summaries.items()},
        tags=dict(tags),
        summaries=summaries,
    )


def _run(
    row: sqlite3.Row,
    *,
    data: RunData,
    models: Iterable[sqlite3.Row],
    inputs: Iterable[sqlite3.Row],
    killed_ms: int | None,
) -> Run:
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
        data=data,
        inputs=RunInputs(tuple(_input(i) for i in inputs)),
        models=tuple(
            ModelInfo(
                m["model_id"],
                m["run_id"],
                m["artifact_path"],
                m["flavor"],
                m["model_class"],
                m["size_bytes"],
                m["created_ms"],
                m["name"],
                m["model_type"],
                m["status"],
                json.loads(m["params"]),
                json.loads(m["tags"]),
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
        row["artifact_location"],
        json.loads(row["tags"]),
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


def _input(row: sqlite3.Row) -> DatasetInput:
    return DatasetInput(
        Dataset(
            row["name"],
            row["digest"],
            row["source_type"],
            json.loads(row["schema"]),
            json.loads(row["profile"]),
            row["source"],
        ),
        row["context"],
        json.loads(row["tags"]),
    )
